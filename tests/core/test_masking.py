"""What is shown of a URL, and of a text that may have one in it."""

from __future__ import annotations

from uamqp.core.masking import masked, masked_within


def test_texts_with_urls_in_them() -> None:
    assert masked("") == masked_within("") == ""
    assert masked("a:b@c") == "a:***@c"
    text = "go to amqps://me:pw@h/q, or to sb://you:p/w@x@i, and mail me@example.com at 10:30"
    assert masked_within(text) == "go to amqps://me:***@h/q, or to sb://you:***@i, and mail me@example.com at 10:30"
    assert masked_within("a: b@c, http://h:80/ and d@e") == "a: b@c, http://h:80/ and d@e"

"""What both builds do with the same bytes: one line of text for each case. A program, run once with each build.

python -m tests.compiled.cases        prints the build's name, and then the lines
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fuzz import fuzz_codec, fuzz_engine, fuzz_sasl, grammar, mutate
from tests.support import vectors
from uamqp import Message, codec

CORPUS = Path(fuzz_codec.__file__).parent / "corpus"
MUTANTS = 6
ENGINE_MUTANTS = 2

WHOLE = Message(
    [b"x" * 300, b"y"],
    application_properties={"text": "value", "number": 5, "nested": {"a": [1, None, 2.5]}},
    annotations={b"x-opt-seq": 5, "x-opt-name": "n"},
    footer={"f": 1},
).encode_message()


def outcome(function: Callable[..., Any], *arguments: Any) -> str:
    """The result as text, or the exception with its type."""
    try:
        return repr(function(*arguments))
    except Exception as error:  # noqa: BLE001 (which one it is, is what is compared)
        return f"{type(error).__name__}: {error}"


def inputs(rng: random.Random) -> Iterator[bytes]:
    """Valid encodings, each cut off everywhere (long ones: here and there), and mutants of each."""
    valid = [bytes.fromhex(vector[0]) for vector in (*vectors.CANONICAL, *vectors.OTHERS)]
    valid += [WHOLE, *mutate.load_corpus(CORPUS / "codec")]
    for data in valid:
        yield data
        yield from (data[:size] for size in range(0, len(data), 1 + len(data) // 40))
        for _ in range(MUTANTS):
            yield mutate.mutate(data, rng, valid, fuzz_codec.TOKENS)


def message(data: bytes) -> Any:
    """Everything that can be read of a message, and what it is encoded as after a change."""
    received = Message.decode_from_bytes(data)
    seen = [
        str(received.header), str(received.properties), received.annotations, received.delivery_annotations,
        received.application_properties, received.footer, str(received.get_data().__class__.__name__),
        [bytes(part) for part in received.data or ()], list(received.sequence or ()), received.value,
    ]  # fmt: skip
    received.application_properties = {**(received.application_properties or {}), "more": 1}
    return seen, received.encode_message()


def parts(data: bytes) -> Any:
    """A message in the codec's terms: its body, its lists with a field changed, and the rest as it came."""
    bounds = codec.scan_sections(data)
    out = bytearray()
    codec.append_sections(out, data, bounds, codec.HEADER, codec.FOOTER)
    for code, read, append in (
        (codec.HEADER, codec.read_header, codec.append_header),
        (codec.PROPERTIES, codec.read_properties, codec.append_properties),
    ):
        cursor = codec.section_decoder(data, bounds, code)
        if cursor is not None:
            start = cursor.pos
            fields = read(cursor)
            original = codec.encoded_since(cursor, start)
            for changed in (0, 1, 5, -1):
                append(out, fields, original=original, changed=changed)
    return out, codec.body_code(bounds), codec.body_parts(data, bounds), codec.body_size(data, bounds)


def encoded_again(data: bytes) -> bytes:
    return codec.decode_composite(data)[0].encode()


def skipped(data: bytes) -> int:
    cursor = codec.Decoder(data)
    cursor.skip()
    return cursor.pos


def codec_lines(data: bytes) -> Iterator[str]:
    for bare in (False, True):
        yield outcome(codec.decode_value, data, bare)
        yield outcome(lambda bare=bare: codec.encode_value(codec.decode_value(data, bare), bare))
    yield outcome(codec.decode_composite, data)
    yield outcome(encoded_again, data)
    yield outcome(codec.scan_sections, data)
    yield outcome(parts, data)
    yield outcome(message, data)
    yield outcome(skipped, data)


def engine_line(data: bytes) -> str:
    """What an engine says and tells of a conversation that these bytes stand for."""
    stages = fuzz_engine.stages()
    role, before, _ = stages[data[0] % len(stages)]
    run = fuzz_engine.Run(role, before)
    rest = data[2:]
    if data[1] & fuzz_engine.GRAMMAR:
        rest = b"".join(grammar.frames(rest))
    elif data[1] & fuzz_engine.REPAIR:
        rest = fuzz_engine.repaired(rest)
    run.feed(
        fuzz_engine.cut(rest, fuzz_engine.SIZES[data[1] % len(fuzz_engine.SIZES)]),
        eager=bool(data[1] & fuzz_engine.EAGER),
    )
    run.finish()
    return f"{run.events!r} {run.output.hex()} {run.engine.cause}"


def lines() -> Iterator[str]:
    rng = random.Random(1)
    for data in inputs(rng):
        for line in codec_lines(data):
            yield f"{data.hex()} {line}"
    for name, module, one in (("engine", fuzz_engine, engine_line), ("sasl", fuzz_sasl, fuzz_sasl.target)):
        corpus = mutate.load_corpus(CORPUS / name)
        for data in corpus:
            for given in (data, *(mutate.mutate(data, rng, corpus, module.TOKENS) for _ in range(ENGINE_MUTANTS))):
                if len(given) > 1:
                    yield f"{name} {given.hex()} {outcome(one, given)}"


def main() -> None:
    out = sys.stdout
    out.write(f"{'compiled' if codec.COMPILED else 'pure'}\n")
    for line in lines():
        out.write(line.replace("\n", "\\n") + "\n")


if __name__ == "__main__":
    main()

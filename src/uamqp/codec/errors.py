"""The codec's exceptions."""

from __future__ import annotations


class CodecError(ValueError):
    """Something isn't valid AMQP 1.0 data, or can't be encoded as such."""


class EncodeError(CodecError):
    """A value has no AMQP encoding: wrong type, out of range, nested too deep, or without a mandatory field."""


class NestingError(EncodeError):
    """Values are nested deeper than the codec can read (`limits.MAX_DEPTH`), or contain themselves."""


class DecodeError(CodecError):
    """Bytes aren't a valid AMQP 1.0 encoding, or a composite violates its definition."""

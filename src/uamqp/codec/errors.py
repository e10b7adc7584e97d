"""The codec's exceptions."""

from __future__ import annotations


class CodecError(ValueError):
    """Something isn't valid AMQP 1.0 data, or can't be made into it."""


class EncodeError(CodecError):
    """A value has no AMQP encoding: wrong type, out of range, nested too deep, a mandatory field unset."""


class NestingError(EncodeError):
    """Values are nested deeper than the codec reads them (`limits.MAX_DEPTH`), or contain themselves."""


class DecodeError(CodecError):
    """Bytes that are no valid AMQP 1.0 encoding, or a composite that breaks its definition."""

"""The described types of AMQP 1.0 as a table: data for `codec`; imports nothing of the library.

A line is `0xcode name field:kind...`. A kind is a primitive, a composite's name, "fields" (a map with symbols
as keys), "any", "state", "source" or "target"; then "!" mandatory, "*" multiple, "=x" the default.
A line whose second word ends in /map, /binary, /list or /any is a section that carries that bare value.
"""

from __future__ import annotations

from typing import Any

_CAPABILITIES = "offered_capabilities:symbol* desired_capabilities:symbol* properties:fields"
_TERMINUS = (
    "address:any durable:uint=0 expiry_policy:symbol=session-end timeout:uint=0 dynamic:boolean=false "
    "dynamic_node_properties:fields"
)
_TABLE = f"""
0x10 open container_id:string! hostname:string max_frame_size:uint=4294967295 channel_max:ushort=65535
     idle_time_out:uint outgoing_locales:symbol* incoming_locales:symbol* {_CAPABILITIES}
0x11 begin remote_channel:ushort next_outgoing_id:uint! incoming_window:uint! outgoing_window:uint!
     handle_max:uint=4294967295 {_CAPABILITIES}
0x12 attach name:string! handle:uint! role:boolean! snd_settle_mode:ubyte=2 rcv_settle_mode:ubyte=0
     source:source target:target unsettled:map incomplete_unsettled:boolean=false
     initial_delivery_count:uint max_message_size:ulong {_CAPABILITIES}
0x13 flow next_incoming_id:uint incoming_window:uint! next_outgoing_id:uint! outgoing_window:uint! handle:uint
     delivery_count:uint link_credit:uint available:uint drain:boolean=false echo:boolean=false
     properties:fields
0x14 transfer handle:uint! delivery_id:uint delivery_tag:binary message_format:uint settled:boolean
     more:boolean=false rcv_settle_mode:ubyte state:state resume:boolean=false aborted:boolean=false
     batchable:boolean=false
0x15 disposition role:boolean! first:uint! last:uint settled:boolean=false state:state batchable:boolean=false
0x16 detach handle:uint! closed:boolean=false error:error
0x17 end error:error
0x18 close error:error
0x1d error condition:symbol! description:string info:fields
0x23 received section_number:uint! section_offset:ulong!
0x24 accepted
0x25 rejected error:error
0x26 released
0x27 modified delivery_failed:boolean undeliverable_here:boolean message_annotations:fields
0x28 source {_TERMINUS} distribution_mode:symbol filter:fields default_outcome:state outcomes:symbol*
     capabilities:symbol*
0x29 target {_TERMINUS} capabilities:symbol*
0x2b delete_on_close
0x2c delete_on_no_links
0x2d delete_on_no_messages
0x2e delete_on_no_links_or_messages
0x30 coordinator capabilities:symbol*
0x31 declare global_id:any
0x32 discharge txn_id:any! fail:boolean
0x33 declared txn_id:any!
0x34 transactional_state txn_id:any! outcome:state
0x40 sasl_mechanisms sasl_server_mechanisms:symbol*!
0x41 sasl_init mechanism:symbol! initial_response:binary hostname:string
0x42 sasl_challenge challenge:binary!
0x43 sasl_response response:binary!
0x44 sasl_outcome code:ubyte! additional_data:binary
0x70 header durable:boolean priority:ubyte ttl:uint first_acquirer:boolean delivery_count:uint
0x71 delivery_annotations/map
0x72 message_annotations/map
0x73 properties message_id:any user_id:binary to:any subject:string reply_to:any correlation_id:any
     content_type:symbol content_encoding:symbol absolute_expiry_time:timestamp creation_time:timestamp
     group_id:string group_sequence:uint reply_to_group_id:string
0x74 application_properties/map
0x75 data/binary
0x76 amqp_sequence/list
0x77 amqp_value/any
0x78 footer/map
"""

NUMBERS = ("ubyte", "ushort", "uint", "ulong", "byte", "short", "int", "long", "timestamp")
STATES = ("received", "accepted", "rejected", "released", "modified", "declared", "transactional_state")
PERFORMATIVES = ("open", "begin", "attach", "flow", "transfer", "disposition", "detach", "end", "close")
SASL_BODIES = ("sasl_mechanisms", "sasl_init", "sasl_challenge", "sasl_response", "sasl_outcome")


class Field:
    """A field of a composite, from its word in the table."""

    def __init__(self, text: str) -> None:
        self.name, kind = text.split(":")
        kind, _, default = kind.partition("=")
        self.mandatory = "!" in kind
        self.multiple = "*" in kind
        self.kind = kind.strip("!*")
        self.default: Any = default or None
        if default and self.kind == "boolean":
            self.default = default == "true"
        elif default and self.kind in NUMBERS:
            self.default = int(default)


class Definition:
    """A described type. `shape` is None for a list of fields, else what the section carries."""

    def __init__(self, code: int, name: str, fields: list[str]) -> None:
        self.code = code
        self.name, _, shape = name.partition("/")
        self.shape = shape or None
        symbol_end = {"": "list", "any": "*"}.get(shape, shape)
        self.symbol = f"amqp:{self.name.replace('_', '-')}:{symbol_end}"
        self.fields = [Field(text) for text in fields]
        self.by_name = {field.name: field for field in self.fields}


def _parse(table: str) -> list[Definition]:
    lines = [words.split() for words in ("\n" + table.strip()).split("\n0x")[1:]]
    return [Definition(int(words[0], 16), words[1], words[2:]) for words in lines]


COMPOSITES: dict[str, Definition] = {definition.name: definition for definition in _parse(_TABLE)}
BY_CODE: dict[int, Definition] = {definition.code: definition for definition in COMPOSITES.values()}
BY_SYMBOL: dict[str, Definition] = {definition.symbol: definition for definition in COMPOSITES.values()}

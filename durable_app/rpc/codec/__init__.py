"""Between protobuf messages and our own types, both ways, cut by subject.

``encode_x`` makes a message, ``write_x`` fills one that is part of another, ``decode_x`` and
``read_x`` make our value again. Their rules:

* An unset StringValue is None, a set one its text, an empty one "". An empty map is None.
* Times are aware UTC to the microsecond; finer digits are cut off.
* Decoding raises nothing but :class:`durable_app.errors.WireFormatError`; the field is named.
* Encoding raises ValueError for what no message can hold: text that UTF-8 cannot express (but for
  failures, which lose those characters) and numbers beyond 32 bits.
* Hub-only fields never leave, and what of a message we do not read is listed in ``ignored``.

Encoding sets attributes one by one and asks a dictionary by type: constructors with keywords take
three times as long, and a step of an orchestration costs four messages.
"""

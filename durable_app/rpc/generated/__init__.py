"""What the protobuf compiler made of ``taskhub.proto``: never edited, written by ``make proto``.

The compiler is an old one on purpose: its code runs on protobuf 5, 6 and 7, while that of a newer
compiler refuses any older runtime.
"""

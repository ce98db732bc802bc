"""The run-time type checker of the tests: beartype, with ints passing for floats as in typing."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

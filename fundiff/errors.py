"""The one error that users meet: whatever they can cause and mend is one."""


class FundiffError(ValueError):
    """Something that whoever calls the library can mend; the message says what, and how."""

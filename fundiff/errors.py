"""What users meet: one error, whatever they can cause and mend, and one warning."""


class FundiffError(ValueError):
    """Something that whoever calls the library can mend; the message says what, and how."""


class FundiffWarning(UserWarning):
    """Something that whoever calls the library should know, and that is no reason to stop."""

"""Refusals in the words of whoever reads the page.

The detail of a `HuyingError` is English, for the log and for programs. `said` finds the same in
Chinese by the sentences of this package; a detail that has none, which a newer node may send, is
shown as it is, in small. A test reads every detail out of the program, and fails for one without
its sentence and for a sentence without its detail.
"""

from huying.node.web.refusals.telling import Said, in_chinese, of_one_field, plain, said

__all__ = ["Said", "in_chinese", "of_one_field", "plain", "said"]

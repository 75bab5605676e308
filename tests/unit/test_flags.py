"""Flags as values."""

from realtime.domain.flags import Flag, of_row


def test_flag__of_a_file__is_about_its_row_unless_it_says_otherwise() -> None:
    raised = [
        Flag("shrunk"),
        Flag("unmatched", subject="Ada (lower)"),
        Flag("shrunk", detail={"n": 2}),
    ]
    row, name = of_row(raised, "bill", "ocd-bill/1")
    assert (row.object_type, row.core_id, row.subject) == ("bill", "ocd-bill/1", "ocd-bill/1")
    assert row.detail == {"n": 2}, "a rule that saw the object twice raises one flag"
    assert (name.core_id, name.subject) == ("ocd-bill/1", "Ada (lower)")

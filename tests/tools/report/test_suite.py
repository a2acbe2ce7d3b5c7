from tools.report.suite import shown_number, suite_facts

ROW = {
    "task": "lambada", "metric": "accuracy", "kind": "share", "value": 0.25,
    "standard_error": 0.125, "paper": [0.4599, None, None, 0.6324], "items": 12,
    "items_in_all": 5153, "protocol": "0123456789ab",
}  # fmt: skip
PERPLEXITY = ROW | {"metric": "perplexity", "kind": "perplexity", "value": 2e7, "paper": None}


def look(step, *rows):
    return {"kind": "suite", "step": step, "rows": list(rows)}


def test_a_run_without_tasks_has_nothing_to_show():
    assert suite_facts([{"kind": "step", "step": 1}]) == {}


def test_the_chart_has_the_first_share_of_each_task_and_the_table_the_last_look():
    second = ROW | {"metric": "accuracy, full", "value": 0.5}
    later = ROW | {"value": 0.75, "items": 5153}
    found = suite_facts([look(0, PERPLEXITY, ROW, second), look(9, PERPLEXITY, later, second)])
    assert found["lines"] == [("lambada, accuracy", [(0, 25.0), (9, 75.0)])]
    assert found["step"] == 9
    perplexity, accuracy, _ = found["rows"]
    assert perplexity["ours"] == "2.0e+07" and perplexity["paper"] == 4 * ["-"]
    assert accuracy["ours"] == "75.00" and accuracy["paper"] == ["45.99", "-", "-", "63.24"]
    assert (accuracy["metric"], accuracy["count"]) == ("accuracy, %", "5,153")
    assert suite_facts([look(0, ROW)])["rows"][0]["count"] == "12 of 5,153"


def test_a_number_that_is_not_finite_is_shown_as_none():
    broken = ROW | {"value": None, "standard_error": None}
    found = suite_facts([look(0, broken)])
    assert found["lines"] == [] and found["rows"][0]["ours"] == "-"


def test_numbers_are_shown_by_their_kind():
    shown = [shown_number(kind, 1.23456) for kind in ("share", "bits", "perplexity")]
    assert shown == ["123.46", "1.235", "1.23"]

from tools.report.suite import overlap_facts, shown_number, suite_facts

ROW = {
    "task": "lambada", "metric": "accuracy", "kind": "share", "value": 0.25,
    "standard_error": 0.125, "paper": [0.4599, None, None, 0.6324], "items": 12,
    "items_in_all": 5153, "protocol": "0123456789ab",
}  # fmt: skip
PERPLEXITY = ROW | {"metric": "perplexity", "kind": "perplexity", "value": 2e7, "paper": None}


def look(step, *rows):
    return {"kind": "suite", "step": step, "rows": list(rows)}


def test_a_run_without_tasks_has_nothing_to_show():
    assert suite_facts([{"kind": "step", "step": 1}], None) == {}


def test_the_chart_has_the_first_share_of_each_task_and_the_table_the_last_look():
    second = ROW | {"metric": "accuracy, full", "value": 0.5}
    later = ROW | {"value": 0.75, "items": 5153}
    found = suite_facts(
        [look(0, PERPLEXITY, ROW, second), look(9, PERPLEXITY, later, second)], None
    )
    assert found["lines"] == [("lambada, accuracy", [(0, 25.0), (9, 75.0)])]
    assert found["step"] == 9
    perplexity, accuracy, _ = found["rows"]
    assert perplexity["ours"] == "2.0e+07" and perplexity["paper"] == 4 * ["-"]
    assert accuracy["ours"] == "75.00" and accuracy["paper"] == ["45.99", "-", "-", "63.24"]
    assert (accuracy["metric"], accuracy["count"]) == ("accuracy, %", "5,153")
    assert suite_facts([look(0, ROW)], None)["rows"][0]["count"] == "12 of 5,153"


def test_a_number_that_is_not_finite_is_shown_as_none():
    broken = ROW | {"value": None, "standard_error": None}
    found = suite_facts([look(0, broken)], None)
    assert found["lines"] == [] and found["rows"][0]["ours"] == "-"


def test_numbers_are_shown_by_their_kind():
    shown = [shown_number(kind, 1.23456) for kind in ("share", "bits", "perplexity")]
    assert shown == ["123.46", "1.235", "1.23"]


def test_the_table_is_that_of_the_trained_model_and_names_what_is_not_the_papers():
    last = {"rows": [
        ROW | {"value": 0.75, "files_known": True, "format_seen": True},
        ROW | {"task": "winograd", "files_known": False, "format_seen": True},
        ROW | {"task": "ptb", "files_known": False, "format_seen": False},
    ]}  # fmt: skip
    found = suite_facts([look(0, ROW)], last)
    assert [row["ours"] for row in found["rows"]] == ["75.00", "25.00", "25.00"]
    others, unseen = found["notes"]
    assert "winograd" in others and "lambada" not in others and "ptb" not in others
    assert unseen.endswith(": ptb.")
    assert suite_facts([look(0, ROW)], None)["notes"] == []


def test_overlap_is_told_by_set_and_scores_where_some_items_overlap_and_some_do_not():
    one = {"task": "lambada", "items": 3, "grams": 18, "found": 7, "items_with_any": 2,
           "items_without_grams": 0, "share": 7 / 18}  # fmt: skip
    score = {"task": "lambada", "metric": "accuracy", "kind": "share", "items": 3, "value": 0.5,
             "clean_items": 1, "clean_value": 1.0, "standard_error": None}  # fmt: skip
    none, all_clean = score | {"clean_items": 0}, score | {"clean_items": 3}
    found = overlap_facts(
        {"corpus_grams": 10, "sets": [one, one | {"task": "held-out", "share": None}],
         "scores": [none, score, all_clean]}
    )  # fmt: skip
    assert [(row["task"], row["share"]) for row in found["sets"]] == [
        ("lambada", "38.89"), ("held-out documents", "-"),
    ]  # fmt: skip
    assert found["scores"] == [
        {"task": "lambada", "metric": "accuracy, %", "all": "50.00", "clean": "100.00",
         "error": "-", "count": "1 of 3"}
    ]  # fmt: skip
    assert overlap_facts(None) == {}

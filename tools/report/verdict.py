"""The first screen in sentences: what came out, whether it is good, what was lost."""

from collections import Counter

from pipeline.pages.owners.preferences import REASON_OF
from tools.report.facts import Facts

REASONS_NAMED = 3


def came_out(facts: Facts) -> str:
    """What the build holds at its end, or so far."""
    last = facts.funnel[-1]
    told = f"{last.rows_out:,} {last.unit_out}"
    if facts.corpus:
        hosts = facts.corpus["hosts_in_all"]
        told += f": {facts.corpus['words']:,} words, {facts.corpus['chars']:,} characters"
        told += f" from {hosts:,} host{'s' * (hosts != 1)}"
        years = [year.name for year in facts.corpus["years"]]
        if years:
            span = f"in {years[0]}" if years[0] == years[-1] else f"from {years[0]} to {years[-1]}"
            told += f", first posted {span}"
    sentences = [told]
    if facts.tokens:
        sentences.append(f"{facts.tokens['tokens']:,} tokens in shards")
    if facts.model and facts.model["train"]:
        sentences.append(f"a model trained for {facts.model['train'][-1][0]:,} steps")
    return "; ".join(sentences) + "."


def quality(facts: Facts) -> list[str]:
    """What speaks for the build; what speaks against it is in `problems`."""
    told = ["Every row is accounted for."]
    if not facts.gates:
        told.append("No quality gate failed.")
    if not facts.failed and any(stage.name == "documents" for stage in facts.funnel):
        told.append("No page failed, crashed or timed out in extraction.")
    if facts.likeness:
        share = facts.likeness["documents_share"]
        told.append(f"{100 * share:.1f}\u00a0% of the documents come from OpenAI's 1,000 domains.")
    evaluation = facts.model.get("evaluation")
    if evaluation:
        counting = facts.model["unigram_loss"]
        side = "below" if evaluation["loss"] < counting else "not below"
        told.append(
            f"The model's held-out loss is {evaluation['loss']:.3f} nats a token, {side} the "
            f"{counting:.3f} of a model that only knows how frequent each token is."
        )
    return told


def problems(facts: Facts) -> list[str]:
    """What a reader must know before trusting the rest; also stages that are not finished."""
    told = [f"Quality gate failed: {gate}" for gate in facts.gates]
    if facts.failed:
        told.append(
            f"{facts.failed:,} pages failed, crashed or timed out in extraction; "
            "their reasons stand below, in documents."
        )
    if facts.partial:
        told.append(
            f"The build is not finished: {' and '.join(facts.partial)} was begun. "
            "The same webtext build command goes on."
        )
    for before, after in zip(facts.funnel, facts.funnel[1:], strict=False):
        if before.rows_out != after.rows_in:
            told.append(
                f"{after.name} was made of {after.rows_in:,} {after.unit_in}, but {before.name} "
                f"now holds {before.rows_out:,}; webtext build makes it anew."
            )
    return told


def lost(facts: Facts) -> list[str]:
    """How many rows were dropped, first of the submissions, then of the links that were kept."""
    first, others = facts.funnel[0], facts.funnel[1:]
    told = f"Of {first.rows_in:,} {first.unit_in} {_dropped(first.dropped)}"
    told += _most({drop.reason.value: drop.count for drop in first.drops})
    if first.merged:
        told += f"; {first.merged:,} repeat another one's link"
    sentences = [told + "."]
    dropped = {stage.name: stage.dropped for stage in others if stage.dropped}
    if dropped:
        reasons: Counter[str] = Counter()
        for stage in others:
            reasons.update({drop.reason.value: drop.count for drop in stage.drops})
        told = (
            f"Of {others[0].rows_in:,} {others[0].unit_in} {_dropped(sum(dropped.values()))} later"
        )
        if len(dropped) > 1:
            told += ": " + ", ".join(f"{count:,} in {name}" for name, count in dropped.items())
        else:
            told += f", in {next(iter(dropped))}"
        sentences.append(f"{told}{_most(dict(reasons))}.")
        asked = sum(reasons[reason.value] for reason in REASON_OF.values())
        if asked:
            told = f"{asked:,} page{'s are' if asked > 1 else ' is'} left out"
            sentences.append(f"{told} because the owner asks for that.")
    return sentences


def _dropped(count: int) -> str:
    return f"{count:,} {'was' if count == 1 else 'were'} dropped"


def _most(reasons: dict[str, int]) -> str:
    most = Counter(reasons).most_common(REASONS_NAMED)
    named = ", ".join(f"{name} {count:,}" for name, count in most)
    return f" (most often: {named})" if named else ""

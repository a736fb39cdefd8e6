"""Make a report of a model from what its home holds: no job is run and nothing is computed anew."""

import hashlib
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from app import quantities, trials
from app.reports import methods, of_tradeoffs, sections, tables, versions
from app.reports.model import Fact, Method, Report, Section
from jobs import suggest
from jobs.errors import JobError
from jobs.states import ACTIVE

NO_REPORT = ("export",)  # analyses that leave nothing to read


@dataclass(frozen=True)
class Wanted:
    """What goes into a report: jobs by id, trials by label (() for all), and the trade-offs."""

    jobs: tuple[str, ...] = ()  # () for the newest finished job of each analysis
    trials: tuple[str, ...] = ()
    tradeoffs: bool = True
    without: tuple[str, ...] = ()  # figures by `model.figure_names`


def report(client: Any, model: str, wanted: Wanted = Wanted(), now: float | None = None) -> Report:
    """Return the report. Raises JobError for a model, a job or a choice that there is none of."""
    known = client.store.models()
    [row] = known[known["name"].eq(model)].to_dict("records") or [None]
    if row is None:
        raise suggest.unknown("model", model, list(known["name"]), "`models list` lists them")
    jobs = chosen(client, model, wanted.jobs)
    catalog = client.catalog()
    declared = {job["id"]: catalog["analyses"].get(job["analysis"], {}) for job in jobs}
    found = [sections.of_job(client, declared[job["id"]], job, wanted.trials) for job in jobs]
    if wanted.tradeoffs:
        found += of_tradeoffs.section(client, model)
    late = {job["id"] for job in jobs if declared[job["id"]].get("view") == "trial"}
    found.sort(key=lambda section: section.key in late)  # what they end in comes last
    made = Report(
        title=f"Rankscope report: {model}",
        model=model,
        created=time.time() if now is None else now,
        facts=_facts(client, row, jobs),
        sections=(*found, *_not_measured(client, model)),
        methods=_methods(client, model, catalog, jobs, found),
    )
    return made.without(wanted.without)


def chosen(client: Any, model: str, asked: Sequence[str]) -> list[dict[str, Any]]:
    """Return the jobs of a report, the first made first.

    Raises JobError for one that is unknown, of another model or not ended, and where none is there.
    """
    if not asked:
        found = newest(client, model)
        if not found:
            raise JobError(
                f"{model} has no finished job: run one first, such as "
                f"`python -m jobs analyze {model} spectrum`"
            )
        return found
    rows = [_checked(client, model, name) for name in dict.fromkeys(asked)]
    return sorted(rows, key=lambda row: row["number"])


def newest(client: Any, model: str) -> list[dict[str, Any]]:
    """Return the newest finished job of each analysis of a model, the first made first."""
    ended = of_model(client, model)
    done = ended[ended["state"].eq("DONE")].drop_duplicates("analysis")
    return [dict(row) for row in done.sort_values("number").to_dict("records")]


def of_model(client: Any, model: str) -> pd.DataFrame:
    """Return the jobs of a model that ended and left something to read, the newest first."""
    jobs: pd.DataFrame = client.store.jobs()
    mine = jobs["model"].eq(model) & ~jobs["analysis"].isin(NO_REPORT)
    return jobs[mine & ~jobs["state"].isin(ACTIVE)]


def _checked(client: Any, model: str, name: str) -> dict[str, Any]:
    row: dict[str, Any] = client.job(name)
    if row["model"] != model:
        raise JobError(f"job {row['id']} is of {row['model']}, not of {model}: leave it out")
    if row["state"] in ACTIVE:
        raise JobError(f"job {row['id']} is {row['state'].lower()}: wait until it has ended")
    if row["analysis"] in NO_REPORT:
        raise JobError(f"job {row['id']} is an {row['analysis']}, which has nothing to report")
    return row


def _facts(
    client: Any, row: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]]
) -> tuple[Fact, ...]:
    facts = {
        "Model": row["name"],
        "Source": row["origin"] or row["path"],
        "Base": row.get("base"),
        "Architecture": row["architecture"],
        "Parameters": quantities.count(row["parameters"]),
        "Stored as": row["dtype"],
        "Size": quantities.size(row["bytes"]),
        "Weights (sha256)": weights(client.store.labels(row["name"])),
        "Rankscope": versions.own(),
        "Computed with": versions.of_units(_versions(client, jobs)) or quantities.NOT_KNOWN,
        "Measured": _span(jobs),
    }
    return tuple(Fact(n, str(v)) for n, v in facts.items() if isinstance(v, str) and v)


def weights(labels: pd.DataFrame) -> str:
    """Return one hash over the matrices that are known by content, and how many those are."""
    known = labels[labels["matrix_key"].fillna("").ne("")]
    if known.empty:
        return "not read yet"
    listed = "\n".join(
        sorted(f"{n} {key}" for n, key in zip(known["layer"], known["matrix_key"], strict=True))
    )
    return f"{hashlib.sha256(listed.encode()).hexdigest()}, of {len(known)} matrices"


def _versions(client: Any, jobs: Iterable[Mapping[str, Any]]) -> list[str]:
    keys = {key for job in jobs for key in client.store.units(job["id"])["unit"].dropna()}
    return list(client.store.records(sorted(keys))["versions"].dropna())


def _span(jobs: Sequence[Mapping[str, Any]]) -> str:
    ends = [job["finished"] for job in jobs if quantities.known(job["finished"])]
    if not ends:
        return ""
    first, last = tables.moment(min(ends)), tables.moment(max(ends))
    return first if first == last else f"{first} to {last}"


def _not_measured(client: Any, model: str) -> list[Section]:
    """Return the tensors that no analysis of weights can take, with the reasons."""
    tensors = client.store.tensors(model)
    skipped = tensors[tensors["state"].eq("skipped")]
    if skipped.empty:
        return []
    said = tuple(
        f"{len(found)} × {reason}: {', '.join(found['name'].head(sections.MOST_NAMED))}"
        + (" and others" if len(found) > sections.MOST_NAMED else "")
        for reason, found in skipped.groupby("reason", sort=False)
    )
    words = f"{len(skipped)} of {len(tensors)} tensors are no matrices that are measured."
    return [Section("Not in the profile", words, "skipped", left_out=said)]


def _methods(
    client: Any, model: str, catalog: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]],
    found: Collection[Section],
) -> tuple[Method, ...]:  # fmt: skip
    names = dict.fromkeys(job["analysis"] for job in jobs)
    known = [catalog["analyses"][name] for name in names if name in catalog["analyses"]]
    said = [methods.of_analysis(declared) for declared in known]
    if any(section.key == of_tradeoffs.KEY for section in found):
        said.append(methods.of_tradeoffs())
    if any(declared.get("view") == "trial" for declared in known):
        every = trials.of_model(client, model)
        own = every[every["job"].isin([job["id"] for job in jobs])]
        said += methods.of_compression(catalog.get("methods") or {}, own["method"].dropna())
    return tuple(said)

"""What a hand does to a page of Streamlit, waiting each time for what that brings about.

Waits are for what a user would see; none says how fast a machine is.
"""

import re

from playwright.sync_api import expect

CHOSEN = """([key, names]) => {
    const said = new URL(location.href).searchParams.getAll(key);
    return said.length === names.length && said.every((name, i) => name === names[i]);
}"""
ANSWERED = 240_000  # milliseconds; a run of a form asks a worker, whose start imports torch
STEPS = 240  # of a quarter of a second: a figure that moves for a minute never comes to rest


def came_to_rest(page):
    """Wait until no run of the page's script is under way, and see that it raised nothing."""
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=ANSWERED
    )
    expect(page.get_by_test_id("stException")).to_have_count(0)


def address(page):
    """Return the address as the page's script left it."""
    return page.evaluate("location.href")


def leads(page, part, *, there=True):
    """Wait until the address has a part, or has it no longer: it is written when a run ends."""
    says = "([part, there]) => location.href.includes(part) === there"
    page.wait_for_function(says, arg=[part, there])


def fill(page, role, label, value):
    """Type into a field, and wait until the page has taken it."""
    field = page.get_by_role(role, name=label, exact=True)
    field.fill(value)
    field.press("Enter")
    came_to_rest(page)
    expect(field).to_have_value(value)


def choose(page, label, key, titles):
    """Choose from a list of several, by the title of each name, in place of what is chosen.

    A list that is not filtered begins with an option that takes all, and what was typed is gone
    whenever the page answers to a choice. So each step waits for the answer to the one before,
    which the address shows under `key`, and for the list to hold what was typed.
    """
    box = page.get_by_role("combobox", name=label)
    widget = page.get_by_test_id("stMultiSelect").filter(has=box)
    chosen = widget.get_by_role("button", name=re.compile("^Remove "))
    box.wait_for()
    came_to_rest(page)
    if chosen.count():
        widget.get_by_role("button", name="Clear all").click()
    _answered(page, key, ["none"])
    expect(chosen).to_have_count(0)
    taken = []
    for name, title in titles.items():
        box.fill(title)
        fitting = re.compile(rf"^(Select \d+ matches|{re.escape(title)})$")
        expect(page.get_by_role("option").first).to_have_text(fitting)
        expect(box).to_have_value(title)
        page.get_by_role("option", name=title, exact=True).click()
        taken.append(name)
        _answered(page, key, taken)
        page.keyboard.press("Escape")
        expect(page.get_by_role("listbox")).to_have_count(0)
    shown = [button.get_attribute("aria-label") for button in chosen.all()]
    assert shown == [f"Remove {title}" for title in titles.values()]


def _answered(page, key, names):
    page.wait_for_function(CHOSEN, arg=[key, names], timeout=ANSWERED)
    came_to_rest(page)


def at_rest(page, script, *given):
    """Return what a script finds on the page, once it finds the same twice."""
    came_to_rest(page)
    before = None
    for _ in range(STEPS):
        found = page.evaluate(script, *given)
        if found and found == before:
            return found
        before = found
        page.wait_for_timeout(250)
    raise AssertionError(f"what is found does not come to rest: {before}")


def click_point(page, x, y):
    """Click a point of a figure as a hand would: move there, rest, press.

    Plotly takes a click only where it has seen the pointer hover, which its label shows.
    """
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y)
    page.locator(".hoverlayer .hovertext").first.wait_for()
    page.mouse.click(x, y)

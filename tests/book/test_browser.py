"""The built book in a real browser: `nox -s browser`, after `nox -s book`."""

import html
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import cast
from urllib.parse import urljoin

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from fundiff.data.digits import digits
from fundiff.data.pictures import picture
from fundiff.guidance import guided
from fundiff.illusions import VIEWS, ByView, hybrids
from fundiff.mixtures import Mixture
from fundiff.models.if_model import TextToImage, load, save_embeddings
from fundiff.models.weights import load_weights, shipped
from fundiff.networks import bind, bind_flow
from fundiff.nn.unet import ClassUNet, UNet
from fundiff.process import add_noise, ddim_step, ddpm_step
from fundiff.rng import _GOLDEN, _key, _mix, noise
from fundiff.sampling import denoise, inpaint, sample, sdedit
from fundiff.schedule import NoiseSchedule
from fundiff.solvers import dpm_step, log_snr_timesteps
from fundiff.types import Denoiser
from fundiff.views import Identity

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
SITE, CAT = ROOT / "_build" / "html", "fundiff/pictures/cat.png"
NAMES = ("chromium", "chromium-browser", "google-chrome")
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if not {"_static", "_modules"} & set(path.relative_to(SITE).parts)
    if path != SITE / "index.html"  # leads to the first page, which is looked at
)
FRONT = "book/index.html"
GRAVE = {"serious", "critical"}

if shutil.which(NAMES[0]) is None and not any(map(shutil.which, NAMES)):
    pytest.skip("there is no Chromium: apt-get install chromium", allow_module_level=True)
if not PAGES:
    pytest.skip(f"there is no book in {SITE}: run `nox -s book`", allow_module_level=True)
pytest.importorskip("playwright", reason="Playwright comes with `nox -s browser`")

from axe_playwright_python.sync_playwright import Axe  # noqa: E402
from playwright.sync_api import (  # noqa: E402
    Browser,
    ConsoleMessage,
    FilePayload,
    Locator,
    Page,
    Request,
    Response,
    ViewportSize,
    sync_playwright,
)

WIDE, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)


class Quiet(SimpleHTTPRequestHandler):
    """A server that doesn't write a line for each request."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A window in which nothing may go wrong: errors and requests to elsewhere fail the test."""
    context = browser.new_context(viewport=WIDE, base_url=address)
    page = context.new_page()
    wrong: list[str] = []

    def say(message: ConsoleMessage) -> None:
        if message.type == "error":
            wrong.append(f"said: {message.text}")

    def answer(response: Response) -> None:
        if response.status >= 400:
            wrong.append(f"{response.status}: {response.url}")

    def ask(request: Request) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            wrong.append(f"outside: {request.url}")

    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("console", say)
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    page.on("response", answer)
    page.on("request", ask)
    yield page
    context.close()
    assert not wrong, "\n".join(wrong)


def read(page: Page, name: str) -> None:
    """Open a page, and wait until its formulas are set."""
    page.goto(name, wait_until="load")
    page.wait_for_function(
        "!document.querySelector('.math') || (window.MathJax?.startup?.promise && "
        "MathJax.startup.promise.then(() => true))"
    )


def grave(page: Page) -> list[str]:
    """Name what axe-core calls serious or critical, with where it is."""
    options = {
        "resultTypes": ["violations"],
        "preload": False,
    }  # it asks for styles at wrong places
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"][:5]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_can_be_read_by_everyone(page: Page, name: str) -> None:
    read(page, name)
    formulas = page.locator("article .math").count()
    assert page.locator("article .math mjx-container").count() >= formulas
    assert page.locator("mjx-merror").count() == 0
    lacking = page.eval_on_selector_all(
        "article figure",
        "all => all.filter(f => !f.querySelector('figcaption')?.textContent.trim() || "
        "!(f.querySelector('img')?.alt || f.querySelector('[role=img]')?.ariaLabel))"
        ".map(f => f.outerHTML.slice(0, 200))",
    )
    assert lacking == []
    unseen = page.eval_on_selector_all(
        "article img", "all => all.filter(i => !i.hasAttribute('alt')).map(i => i.src)"
    )
    assert unseen == []
    broken = page.evaluate(
        """async () => {
            const all = [...document.querySelectorAll("article img")];
            all.forEach(image => image.loading = "eager");
            await Promise.all(all.map(image => image.decode().catch(() => null)));
            return all.filter(image => !image.naturalWidth).map(image => image.src);
        }"""
    )
    assert broken == []
    assert not (found := grave(page)), "\n".join(found)

    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    page.wait_for_timeout(400)  # the theme's colours fade
    assert not (found := grave(page)), "\n".join(found)

    page.set_viewport_size(PHONE)
    width = page.evaluate("document.scrollingElement.scrollWidth")
    assert width <= PHONE["width"], page.evaluate(
        f"""[...document.querySelectorAll("article *")]
            .filter(e => e.getBoundingClientRect().right > {PHONE["width"]})
            .map(e => e.outerHTML.slice(0, 120)).slice(0, 3)"""
    )


def test_search_finds_a_word(page: Page) -> None:
    read(page, "search.html?q=anagram")
    page.wait_for_selector("ul.search li a")
    titles = page.locator("ul.search li > a").all_inner_texts()
    assert titles[0] == "1.8 Visual anagrams"


def test_search_opens_by_the_keyboard(page: Page) -> None:
    read(page, FRONT)
    page.keyboard.press("Control+k")
    page.keyboard.type("inpainting")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=inpainting*")
    page.wait_for_selector("ul.search li a")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_as_light_as_the_reader_asks(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    read(page, FRONT)
    page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
    red, green, blue = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    )
    assert (max(red, green, blue) < 64) == (scheme == "dark")


def test_the_menu_opens_on_a_phone(page: Page) -> None:
    page.set_viewport_size(PHONE)
    read(page, FRONT)
    link = page.get_by_role("link", name="1.8 Visual anagrams", exact=True).first
    assert not link.is_visible()
    page.locator("button.primary-toggle").first.click()
    link.wait_for(state="visible")
    link.click()
    page.wait_for_url("**/1-8-anagrams.html")


def players() -> list[str]:
    return [name for name in PAGES if "fd-animation" in (SITE / name).read_text("utf-8")]


@pytest.mark.parametrize("name", players())
def test_an_animation_is_scrubbed_by_the_keyboard(page: Page, name: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    read(page, name)
    for index in range(page.locator(".fd-animation").count()):
        player = page.locator(".fd-animation").nth(index)
        slider, label = player.locator("input"), player.locator("output")
        picture = player.locator("[role=img]")
        place = "e => e.style.backgroundPositionY"
        slider.focus()
        page.keyboard.press("End")
        assert slider.input_value() == slider.get_attribute("max")
        last = label.inner_text()
        assert last == slider.get_attribute("aria-valuetext")
        assert picture.evaluate(place) == "100%"
        page.keyboard.press("Home")
        assert slider.input_value() == "0"
        assert label.inner_text() == slider.get_attribute("aria-valuetext") != last
        assert picture.evaluate(place) == "0%"
        page.keyboard.press("ArrowRight")
        assert slider.input_value() == "1"


def test_an_animation_plays_and_stops(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    read(page, FRONT)
    player = page.locator(".fd-animation").first
    button, slider = player.locator("button"), player.locator("input")
    last = int(slider.get_attribute("max") or 0)
    assert int(slider.input_value()) == last
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-label") == "Pause"
    page.wait_for_function("s => s.value > 1", arg=slider.element_handle())
    page.keyboard.press("Enter")
    stopped = int(slider.input_value())
    assert 1 < stopped < last
    page.wait_for_timeout(400)
    assert int(slider.input_value()) == stopped


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_the_front_page_moves_only_where_motion_is_welcome(page: Page, motion: str) -> None:
    page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]
    page.add_init_script(
        "document.addEventListener('DOMContentLoaded', () => {"
        " const player = document.querySelector('.fd-animation output');"
        " window.labels = new Set();"
        " new MutationObserver(() => labels.add(player.textContent))"
        "   .observe(player, {childList: true, characterData: true, subtree: true}); })"
    )
    read(page, FRONT)
    page.locator(".fd-animation").first.scroll_into_view_if_needed()
    page.wait_for_timeout(2500)
    moved = page.evaluate("labels.size") > 3
    assert moved == (motion == "no-preference")


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_a_picture_turns_by_the_keyboard(page: Page, motion: str) -> None:
    page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]
    read(page, FRONT)
    button = page.locator(".fd-turning button").first
    picture = button.locator("img")
    state = "e => { const s = getComputedStyle(e); return [s.transform, s.transitionDuration]; }"
    upright, duration = picture.evaluate(state)
    assert (duration == "0s") == (motion == "reduce")
    button.focus()
    page.wait_for_timeout(1500)
    turned, _ = picture.evaluate(state)
    assert turned != upright
    assert button.get_attribute("aria-label")


def test_an_animation_rests_on_a_frame_that_tells(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    read(page, "book/part-a/1-1-forward-process.html")
    player = page.locator(".fd-animation").first
    slider, label = player.locator("input"), player.locator("output").inner_text()
    assert 300 < int(label.removeprefix("t = ")) < 700
    player.locator("button").click()
    page.wait_for_function("s => s.value >= 1 && s.value <= 6", arg=slider.element_handle())


def test_one_switch_opens_all_code_and_is_remembered(page: Page) -> None:
    read(page, "book/part-a/1-8-anagrams.html")
    folded = page.locator(".bd-article details.hide")
    openness = "all => all.map(each => each.open)"
    assert folded.count() > 3
    assert not any(folded.evaluate_all(openness))
    switch = page.get_by_role("button", name="Show all code")
    switch.focus()
    page.keyboard.press("Enter")
    assert all(folded.evaluate_all(openness))
    read(page, "book/part-a/1-9-hybrids.html")
    assert all(page.locator(".bd-article details.hide").evaluate_all(openness))
    page.get_by_role("button", name="Fold the code").click()
    assert not any(page.locator(".bd-article details.hide").evaluate_all(openness))


def test_a_function_is_shown_by_its_code_and_its_docstring_is_a_click_away(page: Page) -> None:
    read(page, "book/part-a/1-1-forward-process.html")
    listing = page.locator(".highlight", has_text="def add_noise").first
    assert "Args:" not in listing.inner_text()
    details = page.locator("details.docstring").first
    words = details.get_by_text("Args:")
    assert not words.is_visible()
    details.locator("summary").click()
    assert words.is_visible()
    assert details.locator("a[href*='reference/api/core.html#fundiff.process.add_noise']").count()


def test_sections_have_the_numbers_of_the_write_up(page: Page) -> None:
    read(page, "book/part-a/1-7-2-inpainting.html")
    assert page.locator(".bd-article h1").inner_text().startswith("1.7.2 Inpainting")
    names = page.locator(".bd-sidebar-primary .toctree-l1").all_inner_texts()
    numbers = [name.split()[0] for name in names if name[0].isdigit()]
    assert numbers[:13] == [
        "1.0",
        "1.1",
        "1.2",
        "1.3",
        "1.4",
        "1.5",
        "1.6",
        "1.7",
        "1.7.1",
        "1.7.2",
        "1.7.3",
        "1.8",
        "1.9",
    ]


def test_where_no_address_is_known_nothing_leads_to_the_code(page: Page) -> None:
    read(page, "book/part-a/1-5-sampling.html")
    assert page.locator(".downloads a").all_inner_texts() == ["Download as a notebook"]
    assert page.locator("[class*=source-]").count() == 0


def test_a_picture_is_enlarged(page: Page) -> None:
    page.set_viewport_size(PHONE)
    read(page, "book/part-a/1-5-sampling.html")
    picture = page.locator(".bd-article figure img").first
    picture.scroll_into_view_if_needed()
    small = picture.bounding_box()
    picture.click()
    large = page.locator("dialog.enlarged img").bounding_box()
    assert small is not None
    assert large is not None
    assert large["width"] > 1.5 * small["width"]
    page.keyboard.press("Escape")
    page.locator("dialog.enlarged").wait_for(state="hidden")
    picture.focus()
    page.keyboard.press("Enter")
    page.locator("dialog.enlarged").get_by_role("button", name="Close").click()
    page.locator("dialog.enlarged").wait_for(state="hidden")


def test_wide_formulas_say_on_a_phone_that_they_scroll(page: Page) -> None:
    page.set_viewport_size(PHONE)
    scrolling = 0
    for name in ("1-6-guidance", "1-8-anagrams", "1-4-iterative", "1-1-forward-process"):
        read(page, f"book/part-a/{name}.html")
        page.wait_for_timeout(300)
        found = page.eval_on_selector_all(
            "div.math",
            "all => all.map(e => [e, ...e.querySelectorAll('mjx-container')]"
            ".find(part => part.scrollWidth > part.clientWidth + 1)).filter(part => part)"
            ".map(part => [part.classList.contains('scrolls'), part.tabIndex === 0])",
        )
        assert all(says and reachable for says, reachable in found)
        scrolling += len(found)
    assert scrolling


def test_the_front_page_is_light(page: Page) -> None:
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(len(response.body())))
    read(page, FRONT)
    page.wait_for_load_state("networkidle")
    assert sum(sizes) < 1_500_000


@pytest.mark.parametrize("query", ["DDIM", "posterior", "guidance"])
def test_search_puts_chapters_and_formulas_before_helpers(page: Page, query: str) -> None:
    read(page, f"search.html?q={query}")
    page.wait_for_selector("ul.search li a")
    page.wait_for_timeout(500)
    hrefs = page.eval_on_selector_all("ul.search li > a:first-child", "all => all.map(a => a.href)")
    good = ("/part-", "/reference/formulas", "/reference/glossary")
    assert all(any(place in href for place in good) for href in hrefs[:2]), hrefs[:5]
    assert any("/part-" in href for href in hrefs[:3]), hrefs[:5]


WHY = "book/part-a/1-0-why-it-works.html"
TOWARDS = 1
"""Which kind the compared walks are guided to."""


@pytest.mark.parametrize("name", ["ddpm", "ddim", "flow"])
def test_the_planes_arithmetic_is_the_librarys(page: Page, name: str) -> None:
    """Densities, scores, noise and whole guided walks, from the same seed."""
    flow = name == "flow"
    table = (NoiseSchedule.flow() if flow else NoiseSchedule.linear()).alpha_bar.double()
    schedule, step = NoiseSchedule(table), ddpm_step if name == "ddpm" else ddim_step
    read(page, WHY)
    means, std, count, steps = [[-0.9, -0.5], [0.9, -0.6], [0.1, 0.9]], 0.15, 20, 50
    found = page.evaluate(
        """([name, means, std, count, steps, towards]) => {
            const f = fundiff, schedule = name === "flow" ? f.flow() : f.linear();
            const all = {means, std}, own = {means: [means[towards]], std};
            const start = f.noise(count, 2, {seed: 5});
            const drawn = (stream, step) => f.noise(count, 2, {seed: 5, stream, step});
            const [cond, uncond] = [own, all].map(each => f.denoiser(each, schedule));
            const guide = (x, t) => {
                const leaves = [], answer = f.asked(f.guided(cond, uncond, 2), x, leaves);
                return answer(t, leaves.map(([leaf, seen]) => leaf(seen, t)));
            };
            const step = name === "ddpm" ? f.ddpmStep : f.ddimStep;
            const stops = f.timesteps(schedule, steps), walk = [];
            const loop = f.denoise(schedule, start, stops, {step, drawn});
            for (let next = loop.next(); !next.done;) {
                const {t, x} = next.value;
                walk.push(x);
                next = loop.next(x.map(each => guide(each, t)));
            }
            return {
                table: [...schedule], stops, start,
                shares: start.map(x => f.posterior(all, schedule, x, 80).shares),
                density: start.map(x => f.logDensity(all, schedule, x, 80)),
                score: start.map(x => f.score(all, schedule, x, 80)), walk,
            };
        }""",
        [name, means, std, count, steps, TOWARDS],
    )
    mixture = Mixture(torch.tensor(means, dtype=torch.float64).view(3, 1, 1, 2), std)
    own = Mixture(mixture.means[TOWARDS : TOWARDS + 1], std)
    start, at = noise(count, 1, 1, 2, seed=5).double(), torch.full((count,), 80)
    guide = guided(own.denoiser(schedule), mixture.denoiser(schedule), scale=2)
    stops = schedule.timesteps(count=steps)
    walk = denoise(guide, schedule, start, stops, step=step, seed=5)
    expected = {
        "table": table,
        "start": start.flatten(1),
        "shares": mixture.posterior(schedule, start, at),
        "density": mixture.log_density(schedule, start, at),
        "score": mixture.score(schedule, start, at).flatten(1),
        "walk": torch.stack([state.x.flatten(1) for state in walk]),
    }
    assert found["stops"] == stops
    for what, value in expected.items():
        theirs = torch.tensor(found[what], dtype=torch.float64)
        torch.testing.assert_close(theirs, value, rtol=1e-5, atol=1e-5, msg=what)


def test_the_plane_is_played_by_the_keyboard(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    read(page, WHY)
    plane = page.locator(".fd-plane")
    said, clock = plane.locator(".said"), plane.get_by_label("Stop")
    play = plane.get_by_role("button", name="Play")
    play.focus()
    page.keyboard.press("Enter")
    assert clock.input_value() == clock.get_attribute("max")
    assert clock.get_attribute("aria-valuetext") == "clean"
    before = said.inner_text()
    assert before.startswith("Clean. Nearest to the kinds 1 to 3: ")
    mode = plane.get_by_role("button", name="Kind 1 at -0.90, -0.50")
    mode.focus()
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    assert plane.get_by_role("button", name="Kind 1 at -1.30, -0.50").is_visible()
    assert said.inner_text() != before
    plane.get_by_label("Guide towards").select_option("kind 3")
    assert "kinds 1 to 3: 0, 0, 150 of" in said.inner_text()


def test_points_of_ones_own_come_back_as_they_are(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    read(page, WHY)
    plane = page.locator(".fd-plane")
    plane.get_by_label("Data").select_option("your own points")
    handles = plane.locator(".stage button")
    count = handles.count()
    handles.first.focus()
    page.keyboard.press("Delete")
    assert handles.count() == count - 1
    plane.get_by_role("button", name="Add a point").click()
    plane.locator("canvas").click(position={"x": 40, "y": 60})
    assert handles.count() == count + 1
    plane.get_by_role("button", name="Play").click()
    said = plane.locator(".said").inner_text()
    assert said == f"Clean. No walker ends further than 0.000 from one of your {count + 1} points."


def test_the_plane_plays_and_stops(page: Page) -> None:
    read(page, WHY)
    plane = page.locator(".fd-plane")
    clock = plane.get_by_label("Stop")
    plane.get_by_role("button", name="Play").click()
    page.wait_for_function("s => s.value > 35", arg=clock.element_handle())
    plane.get_by_role("button", name="Pause").click()
    stopped = clock.input_value()
    page.wait_for_timeout(400)
    assert clock.input_value() == stopped


LAB, PICTURES = "book/lab/digits.html", "book/lab/pictures.html"
WORK = """async messages => {
    const files = JSON.parse(document.querySelector(".fd-lab").dataset.files), found = [];
    const worker = new Worker("../../_static/lab/worker.js", {type: "module"});
    for (const [id, message] of messages.entries()) {
        await new Promise((resolve, reject) => {
            worker.onmessage = ({data}) => {
                if (data.kind === "state") found.push(data);
                if (data.kind === "failed") reject(new Error(data.why));
                if (data.kind === "done") resolve();
            };
            worker.onerror = event => reject(new Error(event.message));
            worker.postMessage({id, ...files.networks[message.network], ...message});
        });
    }
    worker.terminate();
    return found;
}"""
"""Gives the lab's worker one message after another, and returns all states of its walks."""


def shipped_network(name: str) -> ClassUNet | UNet:
    """Load a network of digits, which answers in float32 as the lab's does."""
    network = UNet(128) if name == "mnist-denoiser" else ClassUNet(64)
    load_weights(network, shipped(name))
    return network.eval()


def test_the_labs_random_numbers_are_the_librarys(page: Page) -> None:
    read(page, WHY)
    where = {"seed": 2**53 - 1, "first": 3, "stream": "step", "step": 12}
    found = page.evaluate("where => fundiff.noise(2, 785, where)", where)
    theirs = torch.tensor(found, dtype=torch.float64)
    mine = noise(2, 1, 1, 785, seed=2**53 - 1, first=3, stream="step", step=12).flatten(1).double()
    torch.testing.assert_close(theirs, mine, rtol=1e-6, atol=1e-6)
    bits = page.evaluate("where => fundiff.bits(8, {...where, picture: 3}).map(String)", where)
    streams = _mix(torch.tensor([3]) * _GOLDEN + _key(2**53 - 1, "step 12"))
    expected = _mix(streams + torch.arange(1, 9) * _GOLDEN)
    assert [int(each) for each in bits] == [each % 2**64 for each in expected.tolist()]


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "flow"])
@pytest.mark.parametrize("drawn", [False, True], ids=["painted", "edited"])
@torch.inference_mode()
def test_the_lab_paints_what_the_library_paints(page: Page, sampler: str, drawn: bool) -> None:
    """A guided 7 and an unguided 3, from noise and from a drawing, by each sampler."""
    name = "mnist-flow" if sampler == "flow" else "mnist-class"
    drawing = digits("test").first(1).scaled()
    asked = {
        "kind": "digits",
        "sampler": sampler,
        "labels": [7, 3],
        "scale": 5,
        "steps": 20,
        "seed": 4,
    }
    if drawn:
        asked |= {"drawing": drawing.flatten().tolist(), "iStart": 8}
    read(page, LAB)
    found = page.evaluate(WORK, [{"kind": "load", "network": name, "on": "wasm"}, asked])

    schedule = NoiseSchedule.flow(20) if sampler == "flow" else NoiseSchedule.linear(300)
    network, told = shipped_network(name), torch.eye(10)[[7, 3]]
    bound = bind_flow if sampler == "flow" else bind
    step = partial(ddpm_step, large_variance=True) if sampler == "ddpm" else ddim_step
    stops = schedule.timesteps(count=20)
    for number, label in enumerate((7, 3)):
        rows = told[number : number + 1]
        one = guided(*(bound(network, schedule, each) for each in (rows, 0 * rows)), scale=5)
        if drawn:
            mine = sdedit(one, schedule, drawing, stops, i_start=8, step=step, seed=4, first=label)
        else:
            x = noise(1, 1, 28, 28, seed=4, first=label)
            mine = sample(one, schedule, x, stops, step=step, seed=4, first=label)
        theirs = torch.tensor(found[-1]["x"][number]).view(1, 1, 28, 28)
        torch.testing.assert_close(theirs, mine, rtol=0, atol=1e-3)
    assert [state["t"] for state in found] == [*(stops[8:] if drawn else stops), -1]


@torch.inference_mode()
def test_the_lab_removes_noise_as_the_library_does(page: Page) -> None:
    drawing = digits("test").first(1).scaled()
    asked = {"kind": "clean", "drawing": drawing.flatten().tolist(), "sigma": 0.4, "seed": 2}
    read(page, LAB)
    name = "mnist-denoiser"
    (state,) = page.evaluate(WORK, [{"kind": "load", "network": name, "on": "wasm"}, asked])
    noisy = drawing + 0.4 * noise(1, 1, 28, 28, seed=2)
    for key, mine in (("x", noisy), ("x0", shipped_network(name)(noisy))):
        theirs = torch.tensor(state[key]).view(1, 1, 28, 28)
        torch.testing.assert_close(theirs, mine, rtol=0, atol=1e-3)


def test_the_lab_is_used_by_the_keyboard_and_a_link_shows_the_same(
    page: Page, browser: Browser, address: str
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    read(page, f"{LAB}#task=edit&classes=4&steps=10&start=0.7")
    lab = page.locator(".fd-lab")
    assert not [url for url in asked if re.search(r"\.(onnx|wasm|mjs|gz)|worker", url)]
    pad, start = lab.locator(".pad"), lab.locator(".go")
    pad.focus()
    for _ in range(10):
        page.keyboard.press("Space")
        page.keyboard.press("ArrowUp")
    assert re.fullmatch(r"Your drawing, \d+ pixels of ink; the pen is at 14, 4", named(pad))
    assert re.fullmatch(r"Load \d\.\d MB and start", start.inner_text())
    start.focus()
    page.keyboard.press("Enter")
    done(page)
    assert grave(page) == []
    clock = lab.locator(".result input")
    assert clock.get_attribute("aria-valuetext") == "done"
    painted = shown(page)
    page.context.set_offline(True)
    start.click()
    done(page)
    assert shown(page) == painted
    page.context.set_offline(False)
    clock.focus()
    page.keyboard.press("Home")
    assert shown(page) != painted

    context = browser.new_context(viewport=PHONE)
    friend = context.new_page()
    friend.goto(page.url, wait_until="load")
    friend.locator(".fd-lab .go").click()
    done(friend)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert shown(friend) == painted
    assert not friend.evaluate(wide)
    context.close()


def named(locator: Locator) -> str:
    return locator.get_attribute("aria-label") or ""


def shown(page: Page) -> str:
    """What the lab shows as the result, as a file's text."""
    return str(page.locator(".fd-lab .pair canvas").first.evaluate("each => each.toDataURL()"))


def done(page: Page) -> None:
    said = page.locator(".fd-lab .said")
    page.wait_for_function(
        "said => / ms a step, by /.test(said.textContent)", arg=said.element_handle()
    )


def test_the_lab_stops_when_it_is_told_to_and_goes_on(page: Page) -> None:
    read(page, f"{LAB}#steps=100")
    lab, said = page.locator(".fd-lab"), page.locator(".said")
    on = lab.get_by_role("button", name="Go on")
    lab.locator(".go").click()
    page.wait_for_function("document.querySelector('.said').textContent.startsWith('Step 5 ')")
    assert not on.is_visible()
    lab.get_by_role("button", name="Stop").click()
    assert re.fullmatch(r"Stopped after \d+ steps\.", said.inner_text())
    stopped = shown(page)
    page.wait_for_timeout(500)
    assert shown(page) == stopped
    on.click()
    done(page)
    assert not on.is_visible()
    assert lab.locator(".result input").get_attribute("max") == "100"
    resumed = shown(page)
    lab.get_by_role("button", name="Start").click()
    done(page)
    assert shown(page) == resumed != stopped


def test_what_fails_in_the_lab_is_said(page: Page, browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address)
    other = context.new_page()
    other.route("**/*.onnx", lambda route: route.fulfill(status=503))
    other.goto(f"{LAB}#steps=1")
    lab = other.locator(".fd-lab")
    lab.locator(".go").click()
    other.wait_for_function("document.querySelector('.said').textContent.includes('503')")
    assert lab.locator(".said").inner_text().startswith("That did not work: ")
    other.unroute("**/*.onnx")
    lab.get_by_role("button", name=re.compile("^Load")).click()
    done(other)
    context.close()


LINKED = re.compile(r'class="to-lab"><a href="([^"]+)"')
SETTINGS = {
    urljoin(name, html.unescape(link))
    for name in PAGES
    for link in LINKED.findall((SITE / name).read_text())
}


@pytest.mark.parametrize("setting", sorted(SETTINGS))
def test_a_chapters_setting_is_one_that_the_lab_has(page: Page, setting: str) -> None:
    read(page, setting)
    page.locator(".fd-lab").get_by_role("button", name="Copy a link to this").click()
    assert page.url.endswith(setting)


DOG, FALLS, HAT = "a photo of a dog", "a lithograph of waterfalls", "a man wearing a hat"
VILLAGE = "an oil painting of a snowy mountain village"
LOAD = {"kind": "load", "network": "text-to-image", "on": "wasm"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TextToImage:
    """The text-to-image model in float32, with prompts in half precision as the lab has them."""
    kept = tmp_path_factory.mktemp("prompts") / "prompts.safetensors"
    save_embeddings(load(device="cpu"), [DOG, VILLAGE], kept)
    return load(device="cpu", dtype=torch.float32, embeddings=kept)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["paint", "edit", "inpaint", "blur", "colour", *VIEWS])
@torch.inference_mode()
def test_the_lab_paints_pictures_as_the_library_does(
    page: Page, model: TextToImage, what: str
) -> None:
    """From words, edited, repainted, hybrids, and anagrams by every view."""
    read(page, PICTURES)
    files = json.loads(page.locator(".fd-lab").get_attribute("data-files") or "")
    ends = [0, *itertools.accumulate(files["tokens"])]
    pairs = itertools.product(files["subjects"], files["styles"])
    known = ["", *(f"{style} {subject}".strip() for subject, style in pairs)]
    words = (DOG,) if what in ("paint", "edit", "inpaint") else (VILLAGE, DOG)
    asked = {"kind": "pictures", "scale": 4, "steps": 6, "seed": 3, "none": [0, ends[1]]}
    asked["prompts"] = [
        [ends[known.index(each)], files["tokens"][known.index(each)]] for each in words
    ]
    conds, uncond, schedule = [*map(model.denoiser, words)], model.denoiser(), model.schedule
    stops, x = log_snr_timesteps(schedule, 6), model.noise(1, seed=3)
    keep, guide = None, cast(Denoiser, guided(conds[0], uncond, scale=4))
    astronaut, mask = picture("astronaut", size=64), torch.zeros(1, 3, 64, 64)
    mask[..., 8:30, 20:44] = 1
    if what == "edit":
        asked |= {"drawing": astronaut.flatten().tolist(), "iStart": 2}
        stops = stops[2:]
        x = add_noise(schedule, astronaut, torch.tensor(stops[:1]), x)
    elif what == "inpaint":
        asked |= {"drawing": astronaut.flatten().tolist(), "mask": mask.flatten().tolist()}
        keep = inpaint(astronaut, mask)
    elif what in VIEWS:
        asked["view"] = what if what == "negate" else files["views"].index(what)
        guide = ByView((Identity(), VIEWS[what])).guided(conds, uncond, scale=4)
    elif what != "paint":
        asked["split"] = what
        guide = hybrids()[what].guided(conds, uncond, scale=4)
    mine = sample(guide, schedule, x, stops, step=dpm_step, constraint=keep, seed=3)
    found = page.evaluate(WORK, [LOAD, asked])
    theirs = torch.tensor(found[-1]["x"]).view(1, 3, 64, 64)
    torch.testing.assert_close(theirs, mine, rtol=0, atol=2e-3)  # a thousandth of the range
    assert [state["t"] for state in found] == [*stops, -1]


def test_an_anagram_is_made_kept_and_sent_to_a_friend(page: Page, browser: Browser) -> None:
    page.emulate_media(reduced_motion="reduce")
    words = "style=a+lithograph+of&subject=waterfalls&style2=&subject2=a+man+wearing+a+hat"
    read(page, f"{PICTURES}#task=anagram&{words}&steps=4")
    lab = page.locator(".fd-lab")
    assert re.fullmatch(r"Load \d\d\.\d MB and start", lab.locator(".go").inner_text())
    lab.locator(".go").click()
    done(page)
    page.wait_for_function("!document.querySelectorAll('.pair > div')[2].hidden")
    assert grave(page) == []
    alts = [named(each) for each in lab.locator(".pair canvas").all()]
    both = f"{FALLS} and {HAT}"
    assert alts[0] == f"The result: {both}"
    assert alts[2] == f"The same, flipped upside down: {both}"
    flipped = """() => {
        const [one, , two] = [...document.querySelectorAll(".pair canvas")].map(each =>
            each.getContext("2d").getImageData(0, 0, 64, 64).data);
        return one.every((each, i) =>
            each === two[4 * (64 * (63 - Math.floor(i / 256)) + Math.floor(i / 4) % 64) + i % 4]);
    }"""
    assert page.evaluate(flipped)
    page.context.set_offline(True)
    lab.get_by_label("The second, seen").select_option("in a mirror")
    lab.locator(".go").click()
    done(page)
    page.wait_for_function("/mirror/.test(document.querySelectorAll('.pair p')[2].textContent)")
    assert not page.evaluate(flipped)
    page.context.set_offline(False)
    lab.get_by_role("button", name="Keep").click()
    link = lab.locator(".strip a").get_attribute("href")
    with page.expect_download() as saved:
        lab.get_by_role("button", name="Save as PNG").click()
    with Image.open(saved.value.path()) as image:
        assert image.size == (512, 512)
        png = image.convert("RGB").resize((64, 64), Image.Resampling.NEAREST)
    with page.expect_download() as saved:
        lab.get_by_role("button", name="Save the walk as GIF").click()
    with Image.open(saved.value.path()) as image:
        assert (image.size, getattr(image, "n_frames", 1)) == ((256, 256), 5)
        image.seek(4)
        last = image.convert("RGB").resize((64, 64), Image.Resampling.NEAREST)
    off = np.asarray(ImageChops.difference(png, last))
    assert off.max() <= 24
    context = browser.new_context(viewport=PHONE)
    friend = context.new_page()
    friend.goto(link or "", wait_until="load")
    friend.locator(".fd-lab .go").click()
    done(friend)
    friend.wait_for_function("!document.querySelectorAll('.pair > div')[2].hidden")
    assert shown(friend) == shown(page)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not friend.evaluate(wide)
    context.close()


def test_the_front_page_has_an_anagram_to_make(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    read(page, FRONT)
    lab = page.locator(".fd-lab")
    assert lab.locator(".controls label:visible, .controls .words:visible").count() == 1
    assert lab.get_by_label("Seed").input_value() == "3"
    assert re.fullmatch(r"Load \d\d\.\d MB and start", lab.locator(".go").inner_text())
    assert not [url for url in asked if re.search(r"\.(onnx|wasm|mjs|gz|bin)|worker", url)]
    lab.get_by_role("button", name="Next seed").click()
    page.wait_for_function("document.querySelector('.said').textContent.startsWith('Step 2 ')")
    lab.get_by_role("button", name="Stop").click()
    assert page.url.endswith(FRONT)


def test_a_picture_of_ones_own_is_edited_and_stays_with_its_owner(page: Page) -> None:
    read(page, f"{PICTURES}#task=edit&source=own&steps=4")
    lab = page.locator(".fd-lab")
    own = FilePayload(name="own.png", mimeType="image/png", buffer=(ROOT / CAT).read_bytes())
    before = lab.locator(".pad").evaluate("each => each.toDataURL()")
    lab.locator("input[type=file]").set_input_files(own)
    page.wait_for_function(
        "before => document.querySelector('.pad').toDataURL() !== before", arg=before
    )
    lab.get_by_label("Noise at the start").fill("0.3")
    assert page.url.endswith("#task=edit&steps=4&source=own&start=0.3")
    lab.locator(".go").click()
    done(page)
    lab.get_by_label("What to do").select_option("inpaint")
    lab.locator(".pad").focus()
    page.keyboard.press("Space")
    assert re.match(r"The picture, \d+ of 4096 pixels marked", named(lab.locator(".pad")))
    broken = FilePayload(name="broken.png", mimeType="image/png", buffer=b"no picture")
    lab.locator("input[type=file]").set_input_files(broken)
    page.wait_for_function("document.querySelector('.said').textContent.startsWith('broken.png')")

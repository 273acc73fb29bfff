"""Look at the built site in a real browser: `python tools/site/browse.py site --shots shots`.

Headless Chromium opens every page from a server on this machine, on a desktop's width and a phone's. It finds functions through
the search, follows every internal link with its anchor, and checks that no page is wider than the window, that no picture
is missing, and that nothing is fetched from elsewhere. Faults are listed, and the exit status is then 1. Needs Chromium and the
extra `browse` (`pip install 'jaxkinetic[browse]'`).
"""

import argparse
import functools
import http.server
import shutil
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

__all__ = ["Faults", "main"]

WIDTHS = {"desktop": (1300, 900), "phone": (390, 844)}
SEARCHED = {"fit_decay": "jaxkinetic.fit_decay", "RandomMatching": "jaxkinetic.pairs.RandomMatching"}
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_STATE = """(width) => ({
  anchors: [...document.querySelectorAll('[id]')].map(e => e.id),
  links: [...document.querySelectorAll('a[href]')].map(e => e.href),
  width: Math.max(document.documentElement.scrollWidth, document.body.scrollWidth),
  broken: [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src),
  wide: [...document.querySelectorAll('article *')].filter(e => {
    const box = e.getBoundingClientRect();
    if (!box.width || box.right <= width + 1) return false;
    for (let p = e.parentElement; p; p = p.parentElement)
      if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX) && p.tagName != 'BODY') return false;
    return true;
  }).slice(0, 3).map(e => `${e.tagName.toLowerCase()} "${e.textContent.trim().slice(0, 40)}"`),
  empty: [...document.querySelectorAll('math')].filter(m => !m.getBoundingClientRect().width && m.offsetParent).length,
})"""


class Faults(list[str]):
    """What is wrong, each once."""

    def add(self, sentence: str) -> None:
        if sentence not in self:
            self.append(sentence)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def _serve(folder: Path) -> tuple[http.server.ThreadingHTTPServer, str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/"


def _pages(folder: Path) -> list[str]:
    """The addresses of the pages, relative to the site."""
    return sorted(str(path.parent.relative_to(folder)).replace(".", "", 1) for path in folder.rglob("index.html"))


def _visit(tab: Any, base: str, address: str, width: int, faults: Faults) -> dict[str, Any]:
    answer = tab.goto(base + address + ("/" if address else ""), wait_until="load")
    if answer is None or answer.status != 200:
        faults.add(f"/{address}: the answer is {answer and answer.status}.")
    return tab.evaluate(_STATE, width)


def _check_links(states: dict[str, dict[str, Any]], folder: Path, base: str, faults: Faults) -> int:
    """Every internal link leads to a file, and its anchor to an element. **Returns:** how many different ones there are."""
    anchors = {address: set(state["anchors"]) for address, state in states.items()}
    seen = set()
    for address, state in states.items():
        for link in set(state["links"]):
            if not link.startswith(base) or (address, link) in seen:
                continue
            seen.add((address, link))
            target, anchor = urldefrag(urljoin(base, link).removeprefix(base))
            target, anchor = unquote(target).partition("?")[0].strip("/"), unquote(anchor)
            if target in anchors:
                if anchor and anchor not in anchors[target] and not anchor.startswith("__"):
                    faults.add(f"/{address}: the link to /{target}/#{anchor} has no such anchor.")
            elif not (folder / target).is_file():
                faults.add(f"/{address}: the link to /{target} leads nowhere.")
    return len({link for _, link in seen})


def _search(tab: Any, base: str, kind: str, shots: Path | None, faults: Faults) -> None:
    """Type a name into the search, follow the first result that is its entry, and arrive there."""
    for word, anchor in SEARCHED.items():
        tab.goto(base, wait_until="load")
        if kind == "phone":
            tab.locator("label[for=__search]").first.click()
        else:
            tab.locator(".md-search__input").click()
        tab.locator(".md-search__input").press_sequentially(word, delay=20)
        found = tab.locator(f"a.md-search-result__link[href*='{anchor}']")
        try:
            found.first.wait_for(timeout=15_000)
        except Exception:  # the browser's own error type is known only if playwright is installed
            faults.add(f"The search for {word} on a {kind} does not find {anchor}.")
            continue
        if shots:
            tab.screenshot(path=shots / f"{kind}-search-{word}.png")
        found.first.click()
        tab.wait_for_url(f"**{anchor}*")
        if not tab.locator(f"[id='{anchor}']").first.is_visible():
            faults.add(f"The search for {word} on a {kind} does not arrive at {anchor}.")


def _look(folder: Path, executable: str, shots: Path | None) -> Faults:
    from playwright.sync_api import sync_playwright

    faults = Faults()
    server, base = _serve(folder)
    addresses = _pages(folder)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        for kind, (width, height) in WIDTHS.items():
            context = browser.new_context(viewport={"width": width, "height": height}, is_mobile=kind == "phone")
            tab = context.new_page()
            tab.on("request", lambda r: r.url.startswith((base, "data:", "blob:")) or faults.add(f"Fetched: {r.url}"))
            tab.on("pageerror", lambda error: faults.add(f"A script fails: {error}"))
            states = {}
            for address in addresses:
                states[address] = state = _visit(tab, base, address, width, faults)
                if state["width"] > width or state["wide"]:
                    faults.add(
                        f"/{address} is {state['width']} wide on a {kind} of {width}: {', '.join(state['wide'])}"
                    )
                for source in state["broken"]:
                    faults.add(f"/{address}: the picture {source.removeprefix(base)} is missing.")
                if state["empty"]:
                    faults.add(f"/{address}: {state['empty']} formulas have no width.")
                if shots:
                    tab.screenshot(path=shots / f"{kind}-{address.replace('/', '-') or 'home'}.png")
            links = _check_links(states, folder, base, faults)
            _search(tab, base, kind, shots, faults)
            print(f"{kind}: {len(addresses)} pages, {links} internal links, {len(SEARCHED)} searches")
            context.close()
        browser.close()
    server.shutdown()
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="the built site")
    parser.add_argument("--shots", type=Path, help="folder for a screenshot of every page")
    options = parser.parse_args()
    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if executable is None:
        print(f"No browser is on the path: install one of {', '.join(BROWSERS)}.", file=sys.stderr)
        return 2
    try:
        import playwright  # noqa: F401
    except ImportError:
        print("Playwright is not installed: run `pip install 'jaxkinetic[browse]'`.", file=sys.stderr)
        return 2
    if not (options.folder / "index.html").exists():
        print(f"{options.folder} holds no built site: run `mkdocs build` first.", file=sys.stderr)
        return 2
    if options.shots:
        options.shots.mkdir(parents=True, exist_ok=True)
    faults = _look(options.folder.resolve(), executable, options.shots)
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

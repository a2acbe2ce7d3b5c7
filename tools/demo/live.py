"""`webtext demo --live`: the demo's web served on loopback, and fetched as the live web is.

    live_web -> Server -> write_live -> build with pages.sources = ["live"] -> faults

Written here are the build's inputs, its settings and the truth about it.
"""

import json
from pathlib import Path

from pipeline.pages.fetch.transport import NOWHERE
from tools.demo import dumps
from tools.demo.expected import expect
from tools.demo.files import DemoFiles
from tools.demo.live_web import IDLE_S, LOST_HOST, TRAP_HOST, LiveWeb
from tools.demo.posts import KARMA_MIN, NEW_YEAR, OLD_YEAR, Post
from tools.demo.server import LOOPBACK, TRAP_ADDRESSES, Server

NO_PORT = 9  # of the trap where it could not be set: the discard service
SETTINGS = """\
# The settings of `webtext demo --live`, whose web is a server on this machine: nothing leaves it.

[input]
dumps = ["RS_2012-09.bz2", "RS_2020-06.zst"]

[links]
date_max = 2020-06-30

[pages]
sources = ["live"]
hops_max = 2

[fetch]
contact = "demo@webtext.example"
# All hosts are at the port of the demo's server, so no name is looked up. One host is nowhere, and
# one has a private address that is not opened: a trap, to which no connection may be made.
resolve = [
  "*:80={server}",
  "*:443={nowhere}",
  "{lost}:80={nowhere}",
  "{trap_host}:80={trap}",
]
# Private addresses are refused. This one is opened, since the demo's server is there; leave such a
# line out of settings for the web.
networks = ["{loopback}/32"]
# For the web these are a second, 20 seconds, three rounds and a quarter of an hour.
delay_s = 0.2
idle_s = {idle_s}
rounds = 2
round_wait_s = 1.0
"""


def write_live(folder: Path, web: LiveWeb, server: Server) -> DemoFiles:
    """Write dumps, webtext.toml and expected.json into the folder, which is made.

    All but the ports in the settings are the same on every machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    posts = _posts(web)
    paths, broken = dumps.write_dumps(folder, posts)
    settings_path, expected_path = folder / "webtext.toml", folder / "expected.json"
    address, port = server.trap if server.trap[0] else (TRAP_ADDRESSES[0], NO_PORT)
    settings = SETTINGS.format(
        server=f"{LOOPBACK}:{server.port}",
        loopback=LOOPBACK,
        nowhere=NOWHERE,
        lost=LOST_HOST,
        trap_host=TRAP_HOST,
        trap=f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
        idle_s=IDLE_S,
    )
    settings_path.write_text(settings, encoding="utf-8")
    truth = expect(web.targets, posts, broken, None).tables()
    expected_path.write_text(json.dumps(truth, indent=1, ensure_ascii=False), encoding="utf-8")
    return DemoFiles(tuple(paths), (), settings_path, expected_path)


def _posts(web: LiveWeb) -> list[Post]:
    """One post of each link, and a second one of every third."""
    posts = []
    for index, target in enumerate(web.targets):
        karma = target.karma or KARMA_MIN + index % 20
        year = OLD_YEAR if index % 5 == 0 else NEW_YEAR
        posts.append(Post(year, target.url, karma, f"Link {index}", index))
        if index % 3 == 0:
            posts.append(Post(NEW_YEAR, target.url, 1, f"Link {index} again", index))
    return posts

"""What a host name alone decides. Lists are facts about hosts, each entry with its subdomains.

The profile `paper` follows OpenAI's published top 1,000 domains of WebText (domains.txt of
openai/gpt-2): what is absent there although Reddit links to it more than to most of the list was
left out on purpose. Those are hosts of media and social networks, and Wikipedia. Google, GitHub,
eBay, Pinterest, LinkedIn, archives and shorteners are present there, so they stay. The block lists
of OpenWebText and OpenWebText2 would remove a tenth of the list, so they are not used. A test
compares ours with the published one.
"""

import ipaddress
import re
from collections.abc import Iterator

import msgspec

from pipeline.links.unwrap import Unwrapper, unwrapper
from pipeline.reasons import Reason

REDDIT_DOMAINS = frozenset({"reddit.com", "redd.it"})

MEDIA_DOMAINS = frozenset(
    """
    i.redd.it v.redd.it preview.redd.it external-preview.redd.it g.redditmedia.com
    i.redditmedia.com redditmedia.com reddituploads.com
    youtube.com youtu.be youtube-nocookie.com ytimg.com vimeo.com dailymotion.com dai.ly
    liveleak.com twitch.tv streamable.com gfycat.com redgifs.com vine.co metacafe.com veoh.com
    break.com funnyordie.com bilibili.com bitchute.com rumble.com tiktok.com medal.tv
    imgur.com giphy.com gyazo.com flickr.com staticflickr.com photobucket.com imageshack.us
    imageshack.com tinypic.com minus.com min.us puu.sh livememe.com quickmeme.com qkme.me
    memegenerator.net imgflip.com gifsoup.com eroshare.com imagebam.com imagefap.com imgbox.com
    sli.mg snag.gy twimg.com twitpic.com fbcdn.net instagram.com instagr.am cdninstagram.com
    deviantart.com deviantart.net pixiv.net smugmug.com 500px.com 9gag.com
    soundcloud.com bandcamp.com spotify.com deezer.com tidal.com pandora.com 8tracks.com vocaroo.com
    pornhub.com xvideos.com xhamster.com redtube.com
    """.split()
)

SOCIAL_DOMAINS = frozenset(
    """
    twitter.com x.com facebook.com fb.com fb.me tumblr.com plus.google.com myspace.com snapchat.com
    vk.com ask.fm threads.net bsky.app discord.com discord.gg discordapp.com
    """.split()
)

# secure.wikimedia.org was Wikipedia's https address until 2011.
WIKIPEDIA_DOMAINS = frozenset({"wikipedia.org", "wikipedia.com", "secure.wikimedia.org"})

# RFC 6761, RFC 6762, RFC 8375 and the names that routers and offices use.
PRIVATE_SUFFIXES = frozenset(
    "localhost local localdomain internal intranet lan home home.arpa corp private".split()
)
_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


class HostFacts(msgspec.Struct, frozen=True):
    """What is known of a host. The reasons are apart because rules on the URL stand between."""

    unreachable: Reason | None  # host_invalid, host_private
    listed: Reason | None  # reddit_internal, media_host, social_host
    blocked: Reason | None  # domain_blocked, wikipedia, removed_by_request
    unwrap: Unwrapper | None
    innocent: bool = True  # none of the reasons holds


def host_facts(host: str, blocked: frozenset[str], removed: frozenset[str]) -> HostFacts:
    """What a host decides; `blocked` and `removed` are domains, each with its subdomains."""
    names = set(suffixes(host))
    reasons = _unreachable(host), _listed(names), _blocked(names, blocked, removed)
    return HostFacts(*reasons, unwrapper(host), not any(reasons))


def suffixes(host: str) -> Iterator[str]:
    """A host's name and those above it: a.b.com, b.com, com."""
    while host:
        yield host
        host = host.partition(".")[2]


def _unreachable(host: str) -> Reason | None:
    if host.startswith("[") or host.rpartition(".")[2].isdigit():
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return Reason.HOST_INVALID
        return None if address.is_global and not address.is_multicast else Reason.HOST_PRIVATE
    if _HOST_NAME.fullmatch(host) is None:
        return Reason.HOST_INVALID
    if "." not in host or not PRIVATE_SUFFIXES.isdisjoint(suffixes(host)):
        return Reason.HOST_PRIVATE
    return None


def _listed(names: set[str]) -> Reason | None:
    # Reddit's own image and video hosts are media: that is what they say of a post.
    if not MEDIA_DOMAINS.isdisjoint(names):
        return Reason.MEDIA_HOST
    if not REDDIT_DOMAINS.isdisjoint(names):
        return Reason.REDDIT_INTERNAL
    return Reason.SOCIAL_HOST if not SOCIAL_DOMAINS.isdisjoint(names) else None


def _blocked(names: set[str], blocked: frozenset[str], removed: frozenset[str]) -> Reason | None:
    if not blocked.isdisjoint(names):
        return Reason.DOMAIN_BLOCKED
    if not WIKIPEDIA_DOMAINS.isdisjoint(names):
        return Reason.WIKIPEDIA
    return None if removed.isdisjoint(names) else Reason.REMOVED_BY_REQUEST

"""What the tools of one category have in common: where their rules lie, how much they weigh, and
why they matter. Levels follow docs/rule_style.md: honest firms use most of these tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

LEVELS = ("informational", "low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Category:
    """`running` is the level of a tool that runs or starts by itself, `present` of one that is
    merely installed or looked up. `behaviours` are ids of rules/behaviours.yml, `set_up` those of
    the commands that prepare the tool for somebody elsewhere. `why` completes the description;
    `{name}` is the tool's."""

    folder: str
    title: str
    noun: str
    tags: tuple[str, ...]
    behaviours: tuple[str, ...]
    set_up: tuple[str, ...]
    running: str
    present: str
    why: str
    falsepositives: tuple[str, ...]
    next_steps: tuple[str, ...]
    context_only: bool = False


_NOBODY = (
    "If nobody can explain it, keep the machine running and undisturbed, preserve its logs,"
    " and involve HR and legal before talking to the user"
)
_SECOND = (
    "Look for a second remote tool, a VPN client, a KVM and foreign sign-ins of the same "
    "person: published cases combine them"
)
_ASK = (
    "Ask the help desk whether {name} is in use for this host, and for whom; if it is "
    "approved, approve it by subject"
)
_CONTEXT = "Nothing by itself; read it beside the finding that it raises"

_REMOTE = ("attack.command-and-control", "attack.t1219.002")
_PROXY = ("attack.command-and-control", "attack.t1090.002")
_PERSONA = ("attack.defense-evasion", "attack.t1656")

CATEGORIES: Mapping[str, Category] = MappingProxyType(
    {
        "remote_desktop": Category(
            folder="remote_desktop",
            title="Remote Access Tool",
            noun="remote-desktop software",
            tags=_REMOTE,
            behaviours=("B21",),
            set_up=("B23",),
            running="medium",
            present="low",
            why=(
                "{name} lets a second person see and drive the desktop. In published cases "
                "of fraudulent remote workers such software carries the work from the "
                "laptop in the house it was shipped to, to somebody abroad."
            ),
            falsepositives=(
                (
                    "The help desk or a managed service provider uses {name} (approve {id} "
                    "for those hosts)"
                ),
                (
                    "A vendor's support session, or an employee who reaches the office from"
                    " home, with {name}"
                ),
            ),
            next_steps=(
                _ASK,
                _SECOND,
                _NOBODY,
            ),
        ),
        "rmm": Category(
            folder="remote_desktop",
            title="Remote Access Tool",
            noun="remote-management agent",
            tags=("attack.command-and-control", "attack.t1219"),
            behaviours=("B21",),
            set_up=("B23",),
            running="medium",
            present="low",
            why=(
                "Such an agent runs commands and opens the desktop for whoever owns its "
                "console. On a laptop that your own IT did not enrol, somebody else "
                "administers it."
            ),
            falsepositives=(
                (
                    "Your own IT or its service provider manages the machine with {name} "
                    "(approve {id} for those hosts)"
                ),
                (
                    "A machine that came with the agent of an acquired company or of the "
                    "provider before"
                ),
            ),
            next_steps=(
                (
                    "Ask IT whether {name} is yours, and whether this host belongs to your "
                    "account; if so, approve it by subject"
                ),
                (
                    "Find out which account or server the agent reports to; an agent of "
                    "somebody else's account is the finding"
                ),
                _SECOND,
                _NOBODY,
            ),
        ),
        "terminal_sharing": Category(
            folder="tunnel",
            title="Remote Session",
            noun="session-sharing tool",
            tags=("attack.command-and-control", "attack.t1219.001"),
            behaviours=("B24",),
            set_up=("B23", "B24"),
            running="low",
            present="low",
            why=(
                "{name} hands an editor or a terminal of this machine to whoever holds the "
                "account or the link, from anywhere, through servers that no firewall rule "
                "singles out. Developers use it honestly; it matters beside other signs."
            ),
            falsepositives=(
                (
                    "Developers who reach their machine from a second one, or pair with "
                    "colleagues (approve {id} for them)"
                ),
            ),
            next_steps=(
                "Ask the user what the session is for and who joins it",
                ("Look which account the tool is signed in with: the company's or a private one"),
                _SECOND,
            ),
        ),
        "vpn": Category(
            folder="network_egress",
            title="VPN Client",
            noun="VPN client",
            tags=_PROXY,
            behaviours=("B29",),
            set_up=("B29",),
            running="low",
            present="low",
            why=(
                "A private VPN on a company laptop hides from where it is used. By itself "
                "it says little; beside a remote tool, a sign-in from a VPN provider or a "
                "place that does not fit it is part of the published pattern."
            ),
            falsepositives=(
                (
                    "Employees who use {name} for privacy or travel where company policy "
                    "allows it (approve {id})"
                ),
                "Teams that test from other countries",
            ),
            next_steps=(
                "Ask whether company policy allows {name}; if so, approve it by subject",
                (
                    "Compare the place HR has with the addresses, time zone and Wi-Fi "
                    "country of the host while {name} is off"
                ),
                _SECOND,
            ),
        ),
        "mesh": Category(
            folder="network_egress",
            title="Mesh VPN",
            noun="mesh network client",
            tags=("attack.command-and-control", "attack.t1572"),
            behaviours=("B24", "B29"),
            set_up=("B23", "B24"),
            running="low",
            present="low",
            why=(
                "{name} joins the laptop to a private network whose other members are "
                "reached as if they stood beside it: one of them may be a person who works "
                "here, or an exit for the laptop's traffic. Many firms run such a network "
                "themselves."
            ),
            falsepositives=(
                "The company's own network is built with {name} (approve {id})",
                "Engineers who reach their machines at home",
            ),
            next_steps=(
                (
                    "Find out which account or network the client is joined to: the "
                    "company's or another"
                ),
                ("See whether it offers its screen or SSH to the network, or uses an exit node"),
                _SECOND,
            ),
        ),
        "proxy": Category(
            folder="network_egress",
            title="Proxy Client",
            noun="proxy client",
            tags=_PROXY,
            behaviours=("B29",),
            set_up=("B29",),
            running="low",
            present="low",
            why=(
                "{name} sends chosen traffic out through a server of the user's choice, so "
                "that sites and sign-in logs see that server's address. Such tools are "
                "everyday software where networks are filtered; only a place that "
                "contradicts the record, or a remote tool beside it, makes it matter."
            ),
            falsepositives=(
                (
                    "Staff who need a proxy to work at all on the network they sit on "
                    "(approve {id} for them)"
                ),
                "Developers who test with a proxy",
            ),
            next_steps=(
                "Ask what {name} is used for before reading anything into it",
                ("Compare the place HR has with sign-in addresses, with and without the proxy"),
                _SECOND,
            ),
        ),
        "tunnel": Category(
            folder="tunnel",
            title="Tunnel Client",
            noun="tunnel client",
            tags=("attack.command-and-control", "attack.t1572"),
            behaviours=("B24",),
            set_up=("B23", "B24"),
            running="low",
            present="low",
            why=(
                "{name} makes a port of this machine reachable from outside through a "
                "server that it calls itself, past firewall and NAT. A remote desktop or "
                "SSH behind it can be used from anywhere."
            ),
            falsepositives=(
                (
                    "Developers who show a web page or receive webhooks on their laptop "
                    "(approve {id} for them)"
                ),
            ),
            next_steps=(
                ("Read command line and configuration: which port is published, and to whom"),
                "Look for a remote-desktop or SSH server on that port",
                _SECOND,
                _NOBODY,
            ),
        ),
        "bandwidth_sharing": Category(
            folder="network_egress",
            title="Bandwidth Sharing",
            noun="client of a residential-proxy network",
            tags=("attack.impact", "attack.t1496.002"),
            behaviours=("B29",),
            set_up=("B29",),
            running="medium",
            present="low",
            why=(
                "{name} rents the line of this machine out, or rents lines of strangers, so"
                " that traffic appears to come from somebody's home. On a company laptop "
                "neither is expected; workers who hide their place buy such exits."
            ),
            falsepositives=(
                (
                    "An employee who earns pocket money with {name} on the company's "
                    "laptop: a matter for policy, not for this case"
                ),
            ),
            next_steps=(
                ("Look whether the machine sells its line or buys others, and for how long"),
                "Compare the place HR has with the addresses of the user's sign-ins",
                _SECOND,
            ),
        ),
        "jiggler": Category(
            folder="presence",
            title="Presence Tool",
            noun="tool that imitates a user at work",
            tags=_PERSONA,
            behaviours=("B43",),
            set_up=("B43",),
            running="low",
            present="informational",
            why=(
                "{name} moves the pointer so that a person seems to be there. Plenty of "
                "honest employees do this too, so it never alerts alone; with a remote tool"
                " or a KVM it suits one operator who minds several laptops."
            ),
            falsepositives=(
                (
                    "Employees who keep their status green during breaks, presentations or "
                    "long downloads"
                ),
                "People who need it because of a disability: treat it as protected use",
            ),
            next_steps=(
                _CONTEXT,
                "See whether it runs at hours when nobody could be at work",
            ),
            context_only=True,
        ),
        "keep_awake": Category(
            folder="presence",
            title="Presence Tool",
            noun="tool that keeps the screen awake",
            tags=_PERSONA,
            behaviours=("B43",),
            set_up=("B43",),
            running="informational",
            present="informational",
            why=(
                "{name} keeps the machine from sleeping or locking, which whoever works on "
                "it from afar needs, and which presenters and developers need as well. It "
                "never alerts alone."
            ),
            falsepositives=(
                "Presentations, builds, long downloads; most users of {name} are honest",
            ),
            next_steps=(
                _CONTEXT,
                "See how long it stays on, and at which hours",
            ),
            context_only=True,
        ),
        "virtual_camera": Category(
            folder="video",
            title="Virtual Camera",
            noun="virtual-camera software",
            tags=_PERSONA,
            behaviours=("B05",),
            set_up=("B05",),
            running="informational",
            present="informational",
            why=(
                "{name} puts another picture in the place of the camera's: a background, a "
                "recording, a face. Streamers, trainers and video teams use it, so it never"
                " alerts alone."
            ),
            falsepositives=(
                ("Video, training and marketing teams; anyone who likes a better background"),
            ),
            next_steps=(
                _CONTEXT,
                ("Look whether it ran during interviews or identity checks of this person"),
            ),
            context_only=True,
        ),
        "face_swap": Category(
            folder="video",
            title="Face Swap",
            noun="program that replaces faces in live video",
            tags=_PERSONA,
            behaviours=("B05",),
            set_up=("B05",),
            running="medium",
            present="low",
            why=(
                "{name} lets somebody sit in a video call with another person's face. "
                "Published cases of fraudulent applicants describe such interviews; on a "
                "company laptop there is little other use for it."
            ),
            falsepositives=(
                ("Research on face synthesis and its detection (approve {id} for that team)"),
            ),
            next_steps=(
                "Look whether it ran during meetings of this person, and since when",
                (
                    "Compare the face in meetings with the identity check at hiring; "
                    "involve HR first"
                ),
                _SECOND,
                _NOBODY,
            ),
        ),
        "voice_changer": Category(
            folder="video",
            title="Voice Changer",
            noun="program that changes a voice in live calls",
            tags=_PERSONA,
            behaviours=("B05",),
            set_up=("B05",),
            running="low",
            present="informational",
            why=(
                "{name} makes the speaker in a call sound like somebody else. Gamers and "
                "streamers use it, so it never alerts alone; together with a virtual camera"
                " or a remote tool it suits a person who must not be recognised."
            ),
            falsepositives=(
                "Games and streaming on a laptop that may be used privately",
                ("People who feel safer with another voice: not a matter for security alone"),
            ),
            next_steps=(
                _CONTEXT,
                "Look whether it ran during interviews or meetings of this person",
            ),
            context_only=True,
        ),
    }
)


def raise_level(level: str) -> str:
    """The next level up, not past high."""
    return LEVELS[min(LEVELS.index(level) + 1, len(LEVELS) - 1)]


def lower_level(level: str) -> str:
    """The next level down."""
    return LEVELS[max(LEVELS.index(level) - 1, 0)]

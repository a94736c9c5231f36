"""The scripts that make a shell ask us, and the words as each shell wants them."""

from __future__ import annotations

import re
import shlex

BASH = """\
# flowsynth: completion for bash; in ~/.bashrc: eval "$(flowsynth completion bash)"
_flowsynth() {
    local IFS=$'\\n' line=${COMP_LINE:0:$COMP_POINT}
    COMPREPLY=($(COMP_BREAKS=$COMP_WORDBREAKS flowsynth completion bash --line "$line" 2>/dev/null))
    case ${COMPREPLY[0]} in
        *[=./]) compopt -o nospace 2>/dev/null ;;
    esac
}
complete -F _flowsynth flowsynth
"""

ZSH = """\
#compdef flowsynth
# flowsynth: completion for zsh; in ~/.zshrc, after compinit: eval "$(flowsynth completion zsh)"
_flowsynth() {
    local -a found open closed
    found=("${(@f)$(flowsynth completion zsh --words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    found=(${found:#})
    open=(${(M)found:#*[=./]})
    closed=(${found:#*[=./]})
    (( $#open )) && compadd -S '' -a open
    (( $#closed )) && compadd -a closed
    return 0
}
compdef _flowsynth flowsynth
"""

FISH = """\
# flowsynth: completion for fish; flowsynth completion fish > ~/.config/fish/completions/flowsynth.fish
function __flowsynth_words
    set -l words (commandline -opc) (commandline -ct)
    flowsynth completion fish --words $words[2..] 2>/dev/null
end
complete -c flowsynth -f -a '(__flowsynth_words)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
#: What bash takes for itself in an unquoted word.
_SPECIAL = re.compile(r"""([\s'"\\$&|;<>()`*?\[\]{}!#~])""")


def words_of(line: str) -> list[str]:
    """The words of a command line up to the cursor, the program's name left out; the last may be empty."""
    try:
        words = shlex.split(line)
    except ValueError:  # a quote that is still open
        words = line.replace('"', "").replace("'", "").split(" ")
    ends = bool(line) and line[-1].isspace() and not line.endswith("\\ ")
    return [*words[1:], *([""] if ends else [])]


def for_bash(found: list[str], current: str, breaks: str) -> list[str]:
    """Words as bash wants them: only what stands after the last of the characters where it cuts words.

    Args:
        found: whole words.
        current: the word so far.
        breaks: the characters.
    """
    cut = max((current.rfind(mark) + 1 for mark in breaks if mark in "=:"), default=0)
    return [_SPECIAL.sub(r"\\\1", word[cut:]) for word in found]

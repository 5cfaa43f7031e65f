"""Shell completion, and the spelling of options, made from the parser itself."""

import argparse

__all__ = ["add_completion", "script", "spelled"]

BASH = """_hpastrom() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words
  case "${{COMP_WORDS[1]}}" in
{cases}
    *) words="{commands}" ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words="{commands}"
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [ "$COMP_CWORD" -gt 1 ] && COMPREPLY+=($(compgen -f -- "$word"))
}}
complete -o filenames -F _hpastrom hpastrom
"""


def _commands(parser):
    """Options of each command."""
    sub = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return {
        name: [o for a in child._actions for o in a.option_strings if o.startswith("--")]
        for name, child in sub.choices.items()
    }


def script(parser):
    """Return a bash script that completes commands, options and file names (zsh: with bashcompinit)."""
    options = {name: " ".join(words) for name, words in _commands(parser).items()}
    cases = "\n".join(f'    {name}) words="{words}" ;;' for name, words in options.items())
    return BASH.format(cases=cases, commands=" ".join(options))


def spelled(argv, parser):
    """Return arguments with options as they are known, whether words are joined by - or by _."""
    command = next((a for a in argv if not a.startswith("-")), None)
    known = {o.replace("_", "-"): o for o in _commands(parser).get(command, ())}
    parts = (a.partition("=") for a in map(str, argv))
    return [known.get(name.replace("_", "-"), name) + sign + value for name, sign, value in parts]


def add_completion(sub, parser):
    """Add the command."""
    out = sub.add_parser(
        "completion",
        help="print a script that completes commands and options in a shell",
        epilog='example:\n  eval "$(hpastrom completion)"    # in ~/.bashrc; in zsh first: '
        "autoload bashcompinit && bashcompinit",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    out.set_defaults(run=lambda args: print(script(parser), end=""))

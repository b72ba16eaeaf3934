# aictl for bash: keeps AICTL_MODEL the effective model of the current directory.
#
# Installed with: eval "$(aictl init bash)". Nothing is forked at a prompt unless the directory, the
# shell's override or a model has changed since the last one; the daemon says the latter by
# rewriting a one-line file, which is read here without a process. Works with the daemon down.
__aictl_shim=@SHIM@
__aictl_genfile=@GENFILE@

__aictl_hook() {
  local status=$? gen= answer
  { IFS= \builtin read -r gen <"$__aictl_genfile"; } 2>/dev/null
  if [[ "$gen:${AICTL_OVERRIDE-}:$PWD" != "${__aictl_seen-}" ]]; then
    # The generation is taken before asking, so that a switch in between is noticed next time. After
    # a failure it counts as unknown: a daemon that comes back is asked again.
    answer=$(\builtin command "$__aictl_shim" hook bash 2>/dev/null) || gen=
    __aictl_seen="$gen:${AICTL_OVERRIDE-}:$PWD"
    [[ -n "$answer" ]] || answer='unset AICTL_MODEL'
    \builtin eval "$answer"
  fi
  \builtin return "$status"
}

# PROMPT_COMMAND is a string, or since bash 5.1 perhaps an array. First in line, so that the commands
# behind it still see the exit status of what the user ran.
if [[ "$(\builtin declare -p PROMPT_COMMAND 2>/dev/null)" == "declare -a"* ]]; then
  if [[ " ${PROMPT_COMMAND[*]-} " != *" __aictl_hook "* ]]; then
    PROMPT_COMMAND=(__aictl_hook "${PROMPT_COMMAND[@]}")
  fi
elif [[ "${PROMPT_COMMAND-}" != *__aictl_hook* ]]; then
  PROMPT_COMMAND="__aictl_hook${PROMPT_COMMAND:+;$PROMPT_COMMAND}"
fi
#@PROMPT

# bash expands the variable once, after it has read the prompt: a model's name is never run.
if [[ "${PS1-}" != *AICTL_MODEL* ]]; then
  PS1='${AICTL_MODEL:+($AICTL_MODEL) }'"${PS1-}"
fi

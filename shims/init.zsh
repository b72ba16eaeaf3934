# aictl for zsh: keeps AICTL_MODEL the effective model of the current directory.
#
# Installed with: eval "$(aictl init zsh)". Nothing is forked at a prompt unless the directory, the
# shell's override or a model has changed since the last one; the daemon says the latter by
# rewriting a one-line file, which is read here without a process. Works with the daemon down.
typeset -g __aictl_shim=@SHIM@
typeset -g __aictl_genfile=@GENFILE@

__aictl_hook() {
  local __aictl_status=$?
  emulate -L zsh
  local gen= answer=
  { IFS= builtin read -r gen <$__aictl_genfile } 2>/dev/null
  if [[ "$gen:${AICTL_OVERRIDE-}:$PWD" != "${__aictl_seen-}" ]]; then
    # The generation is taken before asking, so that a switch in between is noticed next time. After
    # a failure it counts as unknown: a daemon that comes back is asked again.
    answer=$(builtin command $__aictl_shim hook zsh 2>/dev/null) || gen=
    typeset -g __aictl_seen="$gen:${AICTL_OVERRIDE-}:$PWD"
    builtin eval ${answer:-unset AICTL_MODEL}
  fi
  psvar[97]=${AICTL_MODEL-}
  return $__aictl_status
}

autoload -Uz add-zsh-hook
add-zsh-hook precmd __aictl_hook
add-zsh-hook chpwd __aictl_hook
#@PROMPT

# %v shows a variable as it is. The other way, prompt_subst, would run what stands in a model's name
# and in everything else the prompt shows.
if [[ "${PROMPT-}" != *'%97v'* ]]; then
  PROMPT='%(97V.(%97v%) .)'"${PROMPT-}"
fi

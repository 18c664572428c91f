# bash completion for ctl. Load it with: source <(ctl completion bash)

__ctl_complete() {
    local current=${COMP_WORDS[COMP_CWORD]} line
    local words=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
    COMPREPLY=()
    while IFS= read -r line; do
        [[ $line == :* ]] && break
        COMPREPLY+=("${line%%$'\t'*}")
    done < <("${COMP_WORDS[0]}" __complete "${words[@]}" "$current" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace
    fi
}

complete -o default -F __ctl_complete ctl

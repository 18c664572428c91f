# fish completion for ctl. Load it with: ctl completion fish | source

function __ctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    $words[1] __complete $words[2..-1] "$current" 2>/dev/null | while read -l line
        string match -q ':*' -- $line; and break
        echo $line
    end
end

complete -c ctl -f -a '(__ctl_complete)'

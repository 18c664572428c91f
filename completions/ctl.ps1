# PowerShell completion for ctl. Load it with: ctl completion powershell | Out-String | Invoke-Expression

Register-ArgumentCompleter -Native -CommandName ctl -ScriptBlock {
    param($current, $line, $position)
    $words = @($line.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
    if ($current -ne '' -and $words.Count -gt 0) {
        $words = @($words | Select-Object -SkipLast 1)
    }
    foreach ($candidate in (& ctl __complete @words "$current" 2>$null)) {
        if ($candidate.StartsWith(':')) { break }
        $parts = $candidate.Split("`t", 2)
        $help = if ($parts.Count -gt 1 -and $parts[1]) { $parts[1] } else { $parts[0] }
        [System.Management.Automation.CompletionResult]::new($parts[0], $parts[0], 'ParameterValue', $help)
    }
}

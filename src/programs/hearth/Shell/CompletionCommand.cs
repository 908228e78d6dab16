using System.CommandLine;

namespace Hearth.Programs.Hearth.Shell;

/// <summary>
/// <c>hearth completion bash|zsh|fish</c>: a script that asks this program, by the <c>[suggest]</c> directive, what may come next. So
/// it never lags behind, and knows containers and images.
/// </summary>
internal static class CompletionCommand
{
    private const string Bash = """
        # Completion of hearth for bash: source <(hearth completion bash), or put it into /etc/bash_completion.d/hearth.
        _hearth() {
            local line="${COMP_LINE:0:COMP_POINT}" word="${COMP_WORDS[COMP_CWORD]}" IFS=$'\n'
            # What bash takes for several words (an image's tag) is completed from its last colon.
            local before="${line##*[[:space:]]}"
            local cut="${before%"$word"}"
            COMPREPLY=()
            local found
            for found in $(hearth "[suggest:${#line}]" "$line" 2>/dev/null); do
                [[ "$found" == "$before"* ]] && COMPREPLY+=("${found#"$cut"}")
            done
            # No suggestion of ours: a file.
            if [ ${#COMPREPLY[@]} -eq 0 ]; then COMPREPLY=($(compgen -f -- "$word")); fi
        }
        complete -o filenames -F _hearth hearth

        """;

    private const string Zsh = """
        #compdef hearth
        # Completion of hearth for zsh: source <(hearth completion zsh), or put it as _hearth into a folder of $fpath.
        _hearth() {
            local line="${(j: :)words[1,CURRENT]}"
            local -a found
            found=("${(@f)$(hearth "[suggest:${#line}]" "$line" 2>/dev/null)}")
            if [[ -n "${found[1]}" ]]; then compadd -- "${found[@]}"; else _files; fi
        }
        compdef _hearth hearth

        """;

    private const string Fish = """
        # Completion of hearth for fish: hearth completion fish | source, or put it into ~/.config/fish/completions/hearth.fish.
        function __hearth_suggest
            set -l line (commandline -cp)
            hearth "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete -c hearth -a '(__hearth_suggest)'

        """;

    public static Command Create()
    {
        var command = new Command("completion", "Prints a shell's completion script");
        foreach ((string shell, string script) in ((string, string)[])[("bash", Bash), ("zsh", Zsh), ("fish", Fish)])
        {
            var one = new Command(shell, $"For {shell}");
            one.SetAction(_ => Console.Write(script));
            command.Subcommands.Add(one);
        }

        return command;
    }
}

namespace Hearth.House.Tests;

/// <summary>Each rule can fail: it finds the one bad file among the good.</summary>
public sealed class RuleTests
{
    [Fact]
    public void An_arrow_that_is_not_in_the_table_is_found()
    {
        SourceFile good = Project("src/Hearth.Kvm/Hearth.Kvm.csproj", Reference("Hearth.Linux"));

        Assert.Empty(ProjectRules.Arrows([good]));
        Assert.Single(ProjectRules.Arrows([good, Project("src/Hearth.Virtio/Hearth.Virtio.csproj", Reference("Hearth.Vmm"))]));
        Assert.Single(ProjectRules.Arrows([good, Project("src/Hearth.Attic/Hearth.Attic.csproj", "")]));
    }

    [Fact]
    public void A_package_in_the_monitor_is_found()
    {
        const string Package = "<PackageReference Include=\"Serilog\" />";

        Assert.Empty(ProjectRules.Packages([Project("src/programs/hearth/hearth.csproj", Package)]));
        Assert.Single(ProjectRules.Packages([Project("src/Hearth.Vmm/Hearth.Vmm.csproj", Package)]));
    }

    [Fact]
    public void A_package_without_a_reason_is_found()
    {
        const string Line = "\n<PackageVersion Include=\"A\" Version=\"1\" />";

        Assert.Empty(ProjectRules.PackageReasons([new("Directory.Packages.props", "<!-- Why. -->" + Line + Line)]));
        Assert.Single(ProjectRules.PackageReasons([new("Directory.Packages.props", "<ItemGroup>" + Line)]));
    }

    [Fact]
    public void Unsafe_code_where_it_does_not_belong_is_found()
    {
        const string Allow = "<PropertyGroup><AllowUnsafeBlocks>true</AllowUnsafeBlocks></PropertyGroup>";

        Assert.Empty(ProjectRules.UnsafeProjects([Project("src/Hearth.Kvm/Hearth.Kvm.csproj", Allow)]));
        Assert.Single(ProjectRules.UnsafeProjects([Project("src/Hearth.Vmm/Hearth.Vmm.csproj", Allow)]));
        Assert.Single(ProjectRules.UnsafeProjects([new("src/Directory.Build.props", Allow)]));
    }

    [Fact]
    public void A_project_outside_the_solution_is_found()
    {
        var solution = new SourceFile("Hearth.slnx", "<Project Path=\"src/A/A.csproj\" />");

        Assert.Single(ProjectRules.Solution([solution, Project("src/A/A.csproj", ""), Project("src/B/B.csproj", "")]));
    }

    [Fact]
    public void A_library_without_tests_is_found()
    {
        SourceFile library = Project("src/Hearth.Oci/Hearth.Oci.csproj", "");
        SourceFile tests = Project("tests/Hearth.Oci.Tests/Hearth.Oci.Tests.csproj", "");

        Assert.Single(ProjectRules.TestProjects([library]));
        Assert.Single(ProjectRules.TestProjects([library, tests, new("tests/Hearth.Oci.Tests/A.cs", "// [Fact]")]));
        Assert.Empty(ProjectRules.TestProjects([library, tests, new("tests/Hearth.Oci.Tests/A.cs", "[Fact] void T() { }")]));
    }

    [Fact]
    public void A_file_that_is_too_long_is_found()
    {
        Assert.Empty(SourceRules.TooLong([new("src/A.cs", Lines(SourceRules.MaxLines))]));
        Assert.Single(SourceRules.TooLong([new("src/A.cs", Lines(SourceRules.MaxLines + 1))]));
        Assert.Empty(SourceRules.Lengthy([new("src/A.cs", Lines(SourceRules.WarnLines))]));
        Assert.Single(SourceRules.Lengthy([new("src/A.cs", Lines(SourceRules.WarnLines + 1))]));
    }

    [Theory]
    [InlineData("unsafe class A { }", 1)]
    [InlineData("// SAFETY: the file's\n\n\n\n\n\n\n\n\n\n\nunsafe class A\n{\n  void M() { fixed (byte* p = x) { } }\n}", 1)]
    [InlineData("// SAFETY: the file's\n\n\n\n\n\n\n\n\n\n\nunsafe class A\n{\n  void M() { *(int*)p = 3; }\n}", 1)]
    [InlineData("unsafe class A\n{\n  // SAFETY: pinned.\n  void M() { fixed (byte* p = x) { } }\n}", 0)]
    [InlineData("unsafe struct A\n{\n  // SAFETY: none read.\n  fixed byte pad[3];\n}", 0)]
    [InlineData("class A { string S = \"unsafe\"; } // unsafe", 0)]
    public void Unsafe_code_without_a_reason_is_found(string text, int count)
    {
        Assert.Equal(count, SourceRules.SafetyComments([new("src/Hearth.Kvm/A.cs", text)]).Count());
        Assert.Empty(SourceRules.SafetyComments([new("src/Hearth.Kvm/Native/A.cs", text)]));
    }

    [Theory]
    [InlineData("src/Hearth.Images/A.cs", "[DllImport(\"libc\")]", 1)]
    [InlineData("src/Hearth.Images/A.cs", "Console.WriteLine();", 1)]
    [InlineData("src/Hearth.Images/A.cs", "await Task.Run(x);", 0)]
    [InlineData("src/programs/hearth/A.cs", "Console.WriteLine();", 0)]
    [InlineData("src/Hearth.Vmm/A.cs", "Thread.Sleep(1); Task.Run(x); var t = DateTime.Now;", 3)]
    [InlineData("src/Hearth.Vmm/A.cs", "private async Task M()", 1)]
    [InlineData("src/Hearth.Vmm/A.cs", "// Thread.Sleep(1)\nvar s = \"Console.Write\";", 0)]
    public void Banned_calls_are_found(string path, string text, int count) =>
        Assert.Equal(count, SourceRules.BannedCalls([new(path, text)]).Count());

    [Fact]
    public void Names_that_say_nothing_are_found()
    {
        Assert.Single(SourceRules.EmptyNames([new("src/A.cs", "class Device" + "Manager { }")]));
        Assert.Empty(SourceRules.EmptyNames([new("src/A.cs", "class Managerial { }")]));
    }

    [Fact]
    public void A_device_that_is_known_all_over_the_house_is_found()
    {
        var device = new SourceFile("src/Hearth.Virtio/Fan/FanDevice.cs", "class FanDevice { }");
        SourceFile Mention(string path) => new(path, "new FanDevice()");
        SourceFile[] two = [device, Mention("src/Hearth.Virtio/Fan/FanConfig.cs"), Mention("src/Hearth.Vmm/A.cs"), Mention("src/Hearth.Vmm/B.cs")];

        Assert.Empty(SourceRules.OneRoom(two));
        Assert.Empty(SourceRules.OneRoom([.. two, Mention("tests/A.cs")]));
        Assert.Single(SourceRules.OneRoom([.. two, Mention("src/Hearth.Vmm/C.cs")]));
        Assert.Single(SourceRules.OneRoom([device, Mention("src/Hearth.Virtio/Net/NetDevice.cs")]));
    }

    [Theory]
    [InlineData("// TO" + "DO: later", 1)]
    [InlineData("FIX" + "ME", 1)]
    [InlineData("mktemp name.XX" + "XXXX", 0)]
    [InlineData("to do", 0)]
    public void What_is_left_for_later_is_found(string text, int count) =>
        Assert.Equal(count, TextRules.LeftForLater([new("a.md", text)]).Count());

    [Theory]
    [InlineData("cd /wo" + "rk/main", 1)]
    [InlineData("\"/ro" + "ot/.nuget\"", 1)]
    [InlineData("/ho" + "me/ann/hearth", 1)]
    [InlineData("$root/wo" + "rk/x and /sys/kernel and lab/ro" + "ot/x", 0)]
    public void A_path_of_one_machine_is_found(string text, int count) =>
        Assert.Equal(count, TextRules.MachinePaths([new("eng/a.sh", text)]).Count());

    [Fact]
    public void A_big_file_is_found() => Assert.Single(TextRules.BigFiles([new("a.json", new string('x', 600_000)), new("b", "x")]));

    [Theory]
    [InlineData("eng/a.sh", "#!/usr/bin/env bash\n# What it does.\nset -euo pipefail\necho\n", true, 0)]
    [InlineData("eng/a.sh", "#!/usr/bin/env bash\necho\n", true, 1)]
    [InlineData("eng/a.sh", "#!/usr/bin/env bash\nset -euo pipefail\n", false, 1)]
    [InlineData("eng/a.sh", "echo\n", true, 1)]
    [InlineData("eng/a.sh", "# shellcheck shell=bash\necho\n", false, 0)]
    [InlineData("eng/a.sh", "# shellcheck shell=bash\necho\n", true, 1)]
    [InlineData("build", "#!/usr/bin/env bash\nexec eng/build.sh\n", true, 0)]
    [InlineData("guest/init", "#!/bin/sh\nmount\n", true, 0)]
    public void A_careless_script_is_found(string path, string text, bool executable, int count) =>
        Assert.Equal(count, TextRules.Scripts([new(path, text, executable)]).Count());

    [Fact]
    public void A_decision_out_of_order_or_too_long_is_found()
    {
        var first = new SourceFile("docs/decisions/0001-a.md", "# A\n");

        Assert.Empty(TextRules.Decisions([first, new("docs/decisions/0002-b.md", "# B\n")]));
        Assert.Single(TextRules.Decisions([first, new("docs/decisions/0003-b.md", "# B\n")]));
        Assert.Single(TextRules.Decisions([first, new("docs/decisions/notes.md", "# B\n")]));
        Assert.Single(TextRules.Decisions([first, new("docs/decisions/0002-b.md", Lines(41))]));
    }

    [Theory]
    [InlineData("run `./test` or\n\n    ./build hearth\n", 0)]
    [InlineData("run `./tset` now", 1)]
    [InlineData("    ./bulid\n", 1)]
    [InlineData("`lab/run -- x`", 0)]
    [InlineData("`lab/walk -- x` or\n\n    bench/walk\n", 2)]
    [InlineData("[here](docs/a.md#part) and [there](https://example.org/x)", 0)]
    [InlineData("[here](docs/b.md)", 1)]
    public void A_document_that_leads_nowhere_is_found(string text, int count)
    {
        SourceFile[] files = [new("README.md", text), new("test", ""), new("build", ""), new("lab/run", ""), new("docs/a.md", "[up](../README.md)")];

        Assert.Equal(count, TextRules.Documents(files).Count());
    }

    [Fact]
    public void Comments_and_strings_are_told_from_code()
    {
        const string Text = "a /* b */ \"c\\\"d\" @\"e\"\"f\" '\"' g // h\n\"\"\"i \" j\"\"\" k $\"{l}\"";

        Assert.Equal(["a", "g", "k", "$"], CSharpText.Blank(Text).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(Text.IndexOf('\n'), CSharpText.Blank(Text).IndexOf('\n'));
    }

    private static SourceFile Project(string path, string items) => new(path, $"<Project><ItemGroup>{items}</ItemGroup></Project>");

    private static string Reference(string name) => $"<ProjectReference Include=\"$(HearthRoot)src/{name}/{name}.csproj\" />";

    private static string Lines(int count) => string.Concat(Enumerable.Repeat("x\n", count));
}

namespace Hearth.House.Tests;

/// <summary>The repository as it is keeps every rule.</summary>
public sealed class HouseTests
{
    [Fact]
    public void The_repository_is_found_and_has_files()
    {
        Assert.Contains(Repository.Files, static file => file.Path == "tests/Hearth.House.Tests/HouseTests.cs");
        Assert.Contains(Repository.Files, static file => file.Path == "test" && file.IsExecutable);
    }

    [Fact]
    public void References_go_only_where_an_arrow_does() => Nothing(ProjectRules.Arrows(Repository.Files));

    [Fact]
    public void The_monitor_and_the_agent_take_no_packages() => Nothing(ProjectRules.Packages(Repository.Files));

    [Fact]
    public void Each_package_has_its_reason() => Nothing(ProjectRules.PackageReasons(Repository.Files));

    [Fact]
    public void Unsafe_code_is_allowed_in_four_projects() => Nothing(ProjectRules.UnsafeProjects(Repository.Files));

    [Fact]
    public void Each_project_is_in_the_solution() => Nothing(ProjectRules.Solution(Repository.Files));

    [Fact]
    public void Each_library_has_a_test_project_and_each_test_project_tests() => Nothing(ProjectRules.TestProjects(Repository.Files));

    [Fact]
    public void No_file_is_too_long()
    {
        foreach (string warning in SourceRules.Lengthy(Repository.Files))
        {
            TestContext.Current.AddWarning(warning);
        }

        Nothing(SourceRules.TooLong(Repository.Files));
    }

    [Fact]
    public void Unsafe_code_says_why_it_is_safe() => Nothing(SourceRules.SafetyComments(Repository.Files));

    [Fact]
    public void Banned_calls_are_not_made() => Nothing(SourceRules.BannedCalls(Repository.Files));

    [Fact]
    public void Types_have_names_that_say_something() => Nothing(SourceRules.EmptyNames(Repository.Files));

    [Fact]
    public void A_device_is_named_in_its_room_and_two_files_more() => Nothing(SourceRules.OneRoom(Repository.Files));

    [Fact]
    public void Nothing_is_left_for_later() => Nothing(TextRules.LeftForLater(Repository.Files));

    [Fact]
    public void No_file_names_a_path_of_one_machine() => Nothing(TextRules.MachinePaths(Repository.Files));

    [Fact]
    public void No_tracked_file_is_big() => Nothing(TextRules.BigFiles(Repository.Files));

    [Fact]
    public void Scripts_stop_at_the_first_error_and_can_be_run() => Nothing(TextRules.Scripts(Repository.Files));

    [Fact]
    public void Decisions_are_short_and_numbered() => Nothing(TextRules.Decisions(Repository.Files));

    [Fact]
    public void Documents_name_commands_and_files_that_exist() => Nothing(TextRules.Documents(Repository.Files));

    private static void Nothing(IEnumerable<string> violations) => Assert.True(!violations.Any(), string.Join('\n', violations));
}

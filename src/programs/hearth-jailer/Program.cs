using System.Text;
using Hearth.Linux;
using Hearth.Programs.Jailer;

// Nothing that whoever started us left open may be seen from inside the jail.
ProcessImage.CloseInheritedDescriptors();
var started = JailerClock.Now();
try
{
    JailerArguments arguments = JailerArguments.Parse(args);
    if (arguments.Help || arguments.Version)
    {
        Say(1, arguments.Help ? JailerArguments.HelpText : JailerArguments.VersionText);
        return 0;
    }

    Jail.Enter(arguments, started, static warning => Say(2, warning));
    return 0;
}
catch (Exception e) when (e is HearthException or IOException or UnauthorizedAccessException)
{
    Say(2, $"Error: {e.Message}");
    return 1;
}

// Not Console: that one makes threads and descriptors.
static void Say(int descriptor, string line)
{
    try
    {
        using var output = new FileDescriptor(descriptor, ownsHandle: false);
        Pipe.WriteAll(output, Encoding.UTF8.GetBytes($"{line}\n"));
    }
    catch (LinuxException)
    {
        // Nobody listens.
    }
}

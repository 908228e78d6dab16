using System.Globalization;
using Hearth.Kvm;
using Hearth.Linux;

namespace Hearth.Programs.Vmm;

/// <summary>Says how fast /dev/kvm runs a guest, as one line: nanoseconds an instruction.</summary>
internal static class KvmSpeedRole
{
    public static int Run()
    {
        try
        {
            Console.Out.WriteLine(KvmSpeed.Measure().ToString("0.###", CultureInfo.InvariantCulture));
            return 0;
        }
        catch (HearthException e)
        {
            Console.Error.WriteLine(e.Message);
            return 1;
        }
    }
}

namespace Hearth.Images.Tests.Cli;

/// <summary>The program as <c>./build</c> published it, which <c>./test</c> does first.</summary>
internal static class HearthProgram
{
    public static string Path
    {
        get
        {
            string folder = AppContext.BaseDirectory;
            while (!File.Exists(System.IO.Path.Combine(folder, "Hearth.slnx")))
            {
                folder = System.IO.Path.GetDirectoryName(folder)!;
            }

            string program = System.IO.Path.Combine(folder, "out", "bin", "hearth");
            Assert.True(File.Exists(program), "out/bin/hearth is missing: run ./build hearth");
            return program;
        }
    }
}

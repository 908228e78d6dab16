using Hearth.Programs.Oci;

return await OciProgram.RunAsync(args);

Console.Error.WriteLine("hearth-vmm 0.1.0: not wired yet");
return 1;

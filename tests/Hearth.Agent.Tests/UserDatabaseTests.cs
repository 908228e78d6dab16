using System.Text;
using CsCheck;
using Hearth.Agent.Protocol;
using Hearth.Oci.Runtime;
using Hearth.Programs.Agent.Containers;
using Hearth.Ttrpc;

namespace Hearth.Agent.Tests;

/// <summary>What an image may have in /etc/passwd and /etc/group.</summary>
public sealed class UserDatabaseTests
{
    [Fact]
    public void Any_bytes_are_a_database_and_a_lookup_in_it_ends_in_a_user_or_in_not_found() =>
        Gen.Select(s_files, s_files, Gen.OneOf("a", "0", "1:b", ":b", "-1", "99999999999", "a:")).Sample(static (passwd, group, user) =>
        {
            var database = new UserDatabase(Encoding.UTF8.GetBytes(passwd), Encoding.UTF8.GetBytes(group));
            try
            {
                UserSpec found = database.Resolve(new UserLookup { User = user, AddListedGroups = true }, new UserSpec { AdditionalGids = [7, 7] });
                Assert.Contains(found.Gid, found.AdditionalGids);
                Assert.Equal(found.AdditionalGids.Distinct(), found.AdditionalGids);
            }
            catch (TtrpcException e)
            {
                Assert.Equal(StatusCode.NotFound, e.Code);
            }

            _ = database.HomeOf(0);
        });

    [Fact]
    public void Lines_that_are_no_entries_are_passed_over()
    {
        var database = new UserDatabase("x\na:x:nan:1::/a:/b\n:::::::\na:x:5:6::/home/a:/b\r\na:x:8:9::/other:/b"u8.ToArray(), "g:x:11:a\ng:x:-2:a\nh:x:12:b,a\n"u8.ToArray());

        UserSpec found = database.Resolve(new UserLookup { User = "a", AddListedGroups = true }, new UserSpec());

        Assert.Equal((5u, 6u), (found.Uid, found.Gid));
        Assert.Equal([6u, 11u, 12u], found.AdditionalGids);
        Assert.Equal("/home/a", database.HomeOf(5));
    }

    private static readonly Gen<string> s_files = Gen.Char["ab01:,\n-"].Array[0, 80].Select(static chars => new string(chars));
}

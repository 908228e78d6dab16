using Hearth.Linux.Native;

namespace Hearth.Abi.Tests;

public class LibcLayoutTests
{
    [Fact]
    public void Stat_is_laid_out_as_in_c()
    {
        new CLayout("sys/stat.h")
            .Size<stat_t>("struct stat")
            .Field<stat_t>("struct stat", "st_dev")
            .Field<stat_t>("struct stat", "st_ino")
            .Field<stat_t>("struct stat", "st_nlink")
            .Field<stat_t>("struct stat", "st_mode")
            .Field<stat_t>("struct stat", "st_uid")
            .Field<stat_t>("struct stat", "st_gid")
            .Field<stat_t>("struct stat", "st_rdev")
            .Field<stat_t>("struct stat", "st_size")
            .Field<stat_t>("struct stat", "st_blksize")
            .Field<stat_t>("struct stat", "st_blocks")
            .Field<stat_t>("struct stat", "st_times", "st_atim")
            .Constant("S_IFMT", SysStat.S_IFMT)
            .Constant("S_IFBLK", SysStat.S_IFBLK)
            .Constant("S_IFREG", SysStat.S_IFREG)
            .Check();
    }

    [Fact]
    public void Sigaction_is_laid_out_as_in_c()
    {
        new CLayout("signal.h")
            .Size<sigaction_t>("struct sigaction")
            .Field<sigaction_t>("struct sigaction", "sa_handler")
            .Field<sigaction_t>("struct sigaction", "sa_mask")
            .Field<sigaction_t>("struct sigaction", "sa_flags")
            .Field<sigaction_t>("struct sigaction", "sa_restorer")
            .Check();
    }

    [Fact]
    public void Epoll_timers_and_iovecs_are_laid_out_as_in_c()
    {
        new CLayout("sys/epoll.h", "sys/timerfd.h", "sys/eventfd.h", "sys/uio.h", "fcntl.h")
            .Size<epoll_event>("struct epoll_event")
            .Field<epoll_event>("struct epoll_event", "events")
            .Field<epoll_event>("struct epoll_event", "data")
            .Size<itimerspec>("struct itimerspec")
            .Field<itimerspec>("struct itimerspec", "it_interval_nsec", "it_interval.tv_nsec")
            .Field<itimerspec>("struct itimerspec", "it_value_sec", "it_value.tv_sec")
            .Field<itimerspec>("struct itimerspec", "it_value_nsec", "it_value.tv_nsec")
            .Size<iovec>("struct iovec")
            .Field<iovec>("struct iovec", "iov_len")
            .Constant("EFD_NONBLOCK", SysEpoll.EFD_NONBLOCK)
            .Constant("TFD_CLOEXEC", SysEpoll.TFD_CLOEXEC)
            .Constant("O_CLOEXEC", Fcntl.O_CLOEXEC)
            .Constant("O_NONBLOCK", Fcntl.O_NONBLOCK)
            .Check();
    }
}

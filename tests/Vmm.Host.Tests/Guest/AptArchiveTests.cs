using Vmm.Host.Guest;

namespace Vmm.Host.Tests.Guest;

public sealed class AptArchiveTests
{
    [Fact]
    public void ArchiveUri_with_security_first_is_the_main_archive() =>
        Assert.Equal(
            "http://mirror.example/debian/",
            AptArchive.ArchiveUri(
                """
                http://mirror.example/debian-security/ bookworm-security main
                http://mirror.example/debian/ bookworm contrib
                http://mirror.example/debian/ bookworm main
                """));

    [Fact]
    public void ArchiveUri_without_a_debian_archive_is_null() =>
        Assert.Null(AptArchive.ArchiveUri("http://mirror.example/ubuntu/ noble main\n"));

    [Fact]
    public void Dependency_of_a_meta_package_is_the_exact_kernel() =>
        Assert.Equal(
            "linux-image-6.12.1+deb13-cloud-arm64",
            AptArchive.Dependency(
                "Package: linux-image-cloud-arm64\nDepends: base (>= 1), linux-image-6.12.1+deb13-cloud-arm64 (= 6.12.1-1)\n",
                "linux-image-"));

    [Fact]
    public void DownloadSize_of_an_apt_listing_is_in_bytes() =>
        Assert.Equal(1234, AptArchive.DownloadSize("'http://mirror.example/x.deb' x_1_arm64.deb 1234 SHA256:00\n"));

    [Fact]
    public void ProgressBar_off_a_terminal_prints_begin_and_end_only()
    {
        var output = new StringWriter { NewLine = "\n" };
        var bar = new ProgressBar(output, terminal: false);
        foreach (long bytes in (long[])[0, 500_000, 2_000_000])
        {
            bar.Report(new FetchProgress("p", bytes, 2_000_000));
        }

        Assert.Equal("fetching p, 2.0 MB\nfetched p, 2.0 of 2.0 MB\n", output.ToString());
    }
}

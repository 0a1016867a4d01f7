package LabZfs::Mount;
# A mounted filesystem is a link to its bytes, a volume's device likewise: no kernel is asked, so no root is needed.
use strict;
use warnings;
use Exporter 'import';
use LabZfs::Store;
use LabZfs::Props;

our @EXPORT = qw(mount unmount appear vanish remount_below mount_point);

sub real { return $LabZfs::Store::CONF{mounts} . $_[0] }
sub device { my ($dataset) = @_; return real("/dev/zvol/$dataset->{name}") }
sub mount_point { my ($dataset) = @_; return (value($dataset, 'mountpoint'))[0] }

sub link_to {
    my ($target, $path) = @_;
    return if (readlink($path) // '') eq $target;
    unlink $path if -l $path;
    rmdir $path if -d $path;
    LabZfs::Store::make_folder($path =~ s{/[^/]+$}{}r);
    symlink($target, $path) or fail("cannot mount '$path': $!");
}

sub mount {
    my ($dataset, $asked) = @_;
    my $point = mount_point($dataset);
    my $name = $dataset->{name};
    if ($point !~ m{^/} || (value($dataset, 'canmount'))[0] eq 'off') { fail("cannot mount '$name': no mountpoint set") if $asked; return }
    return if !$asked && (value($dataset, 'canmount'))[0] eq 'noauto';
    fail("cannot mount '$name': filesystem already mounted") if $dataset->{mounted} && $asked;
    if (LabZfs::Seal::is_locked($dataset)) { fail("cannot mount '$name': encryption key not loaded") if $asked; return }
    link_to(live_path($dataset), real($point));
    $dataset->{mounted} = $point;
    remount_below($dataset);
}

sub unmount {
    my ($dataset) = @_;
    return unless $dataset->{mounted};
    unmount($_) for reverse descendants($dataset->{name});
    my $path = real($dataset->{mounted});
    if (-l $path) { unlink $path; mkdir $path }
    delete $dataset->{mounted};
}

# After the bytes of a filesystem were put in place anew, what is mounted in it has to be linked again.
sub remount_below {
    my ($dataset) = @_;
    for my $below (descendants($dataset->{name})) { link_to(live_path($below), real($below->{mounted})) if $below->{mounted} }
}

sub appear {
    my ($dataset, $unmounted) = @_;
    return link_to(live_path($dataset), device($dataset)) if $dataset->{type} eq 'volume';
    mount($dataset) if $dataset->{type} eq 'filesystem' && !$unmounted && -d live_path($dataset);
}

sub vanish {
    my ($dataset) = @_;
    return unlink device($dataset) if $dataset->{type} eq 'volume';
    my $point = $dataset->{mounted} or return;
    unmount($dataset);
    rmdir real($point);
}

1;

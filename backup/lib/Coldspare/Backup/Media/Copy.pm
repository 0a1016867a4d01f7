package Coldspare::Backup::Media::Copy;
# Copies archives of vzdump to the medium that is attached. A copy counts once it was read again from the disk; one that is interrupted has
# another name and is begun anew.
use strict;
use warnings;
use Exporter 'import';
use Digest::SHA ();
use Fcntl qw(O_RDONLY O_WRONLY O_CREAT O_TRUNC O_DIRECTORY);
use IO::Handle ();
use POSIX ();
use Coldspare::System;
use Coldspare::Backup::Job qw(iso epoch_of);
use Coldspare::Backup::Process;
use Coldspare::Backup::Media::Attached;
use Coldspare::Backup::Media::Catalogue;

our @EXPORT = qw(copy_new read_again);

my $ARCHIVE = qr/^(vzdump-(?:qemu|lxc|openvz)-(\d+)-(\d{4})_(\d\d)_(\d\d)-(\d\d)_(\d\d)_(\d\d))\.(?:vma|tar|tgz)(?:\.(?:zst|gz|lzo))?$/;
# Every copy on a medium is read again once it has not been for so long.
my $REREAD_SECONDS = 30 * 86400;
# A file system needs some room of its own.
my $SPARE_BYTES = 16 * 2**20;

sub folder { my ($rotation) = @_; return path($rotation->{mount}) . "/$rotation->{name}" }

# The disk may be pulled at any moment, and what is mounted below it then shows through: asked before anything is written.
sub still_there {
    my ($rotation, $attached) = @_;
    my $now = attached($rotation);
    die "medium $attached->{label} is gone\n"
        unless $now->{state} eq 'ok' && $now->{id} eq $attached->{id};
    die "stopped by SIG" . stopping() . "\n" if stopping();
    return $now;
}

# Archives of the source, newest first: { point, path, subject, at, bytes, sidecars }.
sub archives {
    my ($conf, $rotation) = @_;
    my $source = $rotation->{source} // die "the specification does not say in which folder of $conf->{self} the copies of $rotation->{copies} lie\n";
    my $folder = -d path("$source/dump") ? path("$source/dump") : path($source);
    opendir(my $handle, $folder) or die "the folder $folder cannot be read: $!\n";
    my @names = readdir $handle;
    my %there = map { $_ => 1 } @names;
    my @archives;
    for my $name (@names) {
        my ($base, $vmid, $year, $month, @time) = $name =~ $ARCHIVE or next;
        my ($day, $hour, $minute, $second) = @time;
        my $at = iso(POSIX::mktime($second, $minute, $hour, $day, $month - 1, $year - 1900, 0, 0, -1));
        push @archives, { point => $name, path => "$folder/$name", subject => $conf->{guests}{$vmid} // $vmid, at => $at, bytes => -s "$folder/$name",
            sidecars => [grep { $there{ (split m{/}, $_)[-1] } } "$folder/$name.notes", "$folder/$name.protected", "$folder/$base.log"] };
    }
    return sort { $b->{at} cmp $a->{at} || $b->{point} cmp $a->{point} } @archives;
}

sub copy_new {
    my ($conf, $rotation, $attached) = @_;
    my $folder = folder($rotation);
    still_there($rotation, $attached);
    make_folder($folder);
    unlink glob(quotemeta($folder) . '/*.part');
    my $catalogue = catalogue($rotation->{name});
    forget_missing($rotation, $attached, $catalogue);
    my @damaged = read_again($rotation, $attached, $catalogue, time - $REREAD_SECONDS);
    my @wanted = wanted($conf, $rotation, $attached, $catalogue);
    remove_copies($rotation, $catalogue, superfluous_on($rotation, $attached->{label}, with_wanted($catalogue, $attached, @wanted)));
    my ($bytes, @failed) = (0);
    for my $archive (@wanted) {
        my $free = still_there($rotation, $attached)->{free} // 0;
        if (!make_room($rotation, $attached, $catalogue, $archive, $free)) { push @failed, "$archive->{point}: not enough room on $attached->{label} ($free bytes are free, $archive->{bytes} are needed)"; next }
        my $copy = copy_archive($rotation, $attached, $archive);
        $catalogue->{"$attached->{label} $archive->{point}"} = { %$copy, job => $rotation->{name}, target => $rotation->{name}, medium => $attached->{label} };
        put_catalogue($rotation->{name}, $catalogue);
        $bytes += $archive->{bytes};
    }
    # Once more: what was copied may have made older ones superfluous.
    remove_copies($rotation, $catalogue, superfluous_on($rotation, $attached->{label}, $catalogue));
    write_manifest($rotation, $attached, $catalogue);
    die join("\n", @damaged, @failed) . "\n" if @damaged || @failed;
    return { bytes => $bytes, newest => newest_good($catalogue) };
}

# What the medium does not have yet and the rules would keep.
sub wanted {
    my ($conf, $rotation, $attached, $catalogue) = @_;
    my @new = grep { my $copy = $catalogue->{"$attached->{label} $_->{point}"}; !$copy || $copy->{verified} ne 'ok' } archives($conf, $rotation);
    my %gone = map { $_->{point} => 1 } superfluous_on($rotation, $attached->{label}, with_wanted($catalogue, $attached, @new));
    return grep { !$gone{ $_->{point} } } @new;
}

sub with_wanted {
    my ($catalogue, $attached, @new) = @_;
    return { %$catalogue, map { ("$attached->{label} $_->{point}" => { %$_, medium => $attached->{label}, verified => 'ok', planned => 1 }) } @new };
}

# Without rules as many stay as fit: the oldest goes, if it is older than what comes and not the last good one of its subject.
sub make_room {
    my ($rotation, $attached, $catalogue, $archive, $free) = @_;
    while ($free < $archive->{bytes} + $SPARE_BYTES) {
        return 0 if %{ $rotation->{keep} };
        my @here = sort { $a->{at} cmp $b->{at} } grep { $_->{medium} eq $attached->{label} && $_->{at} lt $archive->{at} } values %$catalogue;
        my ($oldest) = grep { my $old = $_; $old->{verified} ne 'ok' || grep { $_->{subject} eq $old->{subject} && $_->{verified} eq 'ok' && $_->{at} gt $old->{at} } values %$catalogue } @here;
        return 0 unless $oldest;
        remove_copies($rotation, $catalogue, $oldest);
        $free = still_there($rotation, $attached)->{free} // 0;
    }
    return 1;
}

# First out of the catalogue: what is listed is there.
sub remove_copies {
    my ($rotation, $catalogue, @gone) = @_;
    for my $copy (grep { !$_->{planned} } @gone) {
        delete $catalogue->{"$copy->{medium} $copy->{point}"};
        put_catalogue($rotation->{name}, $catalogue);
        note('notice', "$rotation->{name}: removing $copy->{point} of $copy->{subject} from $copy->{medium}");
        my ($base) = $copy->{point} =~ $ARCHIVE;
        my $folder = folder($rotation);
        unlink "$folder/$copy->{point}", "$folder/$copy->{point}.notes", "$folder/$copy->{point}.protected", "$folder/$base.log";
    }
}

sub forget_missing {
    my ($rotation, $attached, $catalogue) = @_;
    my @missing = grep { $_->{medium} eq $attached->{label} && (-s folder($rotation) . "/$_->{point}" // -1) != $_->{bytes} } values %$catalogue;
    return unless @missing;
    note('warning', "$rotation->{name}: $_->{point} is listed on $attached->{label} and is not there, or is not whole") for @missing;
    delete $catalogue->{"$_->{medium} $_->{point}"} for @missing;
    put_catalogue($rotation->{name}, $catalogue);
}

# ---- one file -----------------------------------------------------------------------------------------------------------

sub copy_archive {
    my ($rotation, $attached, $archive) = @_;
    my $folder = folder($rotation);
    for my $sidecar (@{ $archive->{sidecars} }) { copy_file($sidecar, "$folder/" . ($sidecar =~ s{.*/}{}r)) }
    my $sha = copy_file($archive->{path}, "$folder/$archive->{point}", sub { still_there($rotation, $attached) });
    return { point => $archive->{point}, subject => $archive->{subject}, at => $archive->{at}, bytes => $archive->{bytes}, sha => $sha, copied => iso(time), verified => 'ok', verifiedat => iso(time) };
}

sub copy_file {
    my ($from, $to, $check) = @_;
    my $digest = Digest::SHA->new(256);
    sysopen(my $in, $from, O_RDONLY) or die "$from cannot be read: $!\n";
    sysopen(my $out, "$to.part", O_WRONLY | O_CREAT | O_TRUNC, 0600) or die "cannot write $to: $!\n";
    my $bytes = 0;
    while (my $got = sysread($in, my $block, 2**20) // die "$from cannot be read: $!\n") {
        $digest->add($block);
        (syswrite($out, $block) // -1) == $got or die "cannot write $to: " . ($! || 'No space left on device') . "\n";
        $bytes += $got;
        die "stopped by SIG" . stopping() . "\n" if stopping();
    }
    $out->sync && close $out or die "cannot write $to: $!\n";
    die "$from changed while it was copied; the next run copies it\n" if $bytes != (-s $from // -1);
    my $sha = $digest->hexdigest;
    my $read = sha_on_disk("$to.part");
    die "what was written to $to and read again does not match $from: the medium is failing, replace it\n" if $read ne $sha;
    $check->() if $check;
    rename("$to.part", $to) or die "cannot write $to: $!\n";
    my $folder = $to =~ s{/[^/]+$}{}r;
    sysopen(my $directory, $folder, O_RDONLY | O_DIRECTORY) or die "cannot open $folder: $!\n";
    $directory->sync or die "cannot write $to: $!\n";
    return $sha;
}

# From the disk, not from memory: dd's nocache drops what the kernel still has of the file.
sub sha_on_disk {
    my ($file) = @_;
    capture({ seconds => 600 }, 'dd', "of=$file", 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none');
    sysopen(my $in, $file, O_RDONLY) or die "$file cannot be read: $!\n";
    my $digest = Digest::SHA->new(256);
    while (my $got = sysread($in, my $block, 2**20) // die "$file cannot be read: $!\n") { $digest->add($block) }
    return $digest->hexdigest;
}

# Reads copies again that were not since a moment; returns what is damaged, in words. A damaged one counts no more and is copied anew.
sub read_again {
    my ($rotation, $attached, $catalogue, $since) = @_;
    my @damaged;
    for my $copy (sort { $a->{verifiedat} cmp $b->{verifiedat} } grep { $_->{medium} eq $attached->{label} && epoch_of($_->{verifiedat}) <= $since } values %$catalogue) {
        still_there($rotation, $attached);
        my $sha = eval { sha_on_disk(folder($rotation) . "/$copy->{point}") } // '';
        my $why = $@ =~ s/\n+\z//r;
        still_there($rotation, $attached) if $sha eq '';
        @$copy{qw(verified verifiedat)} = ($sha eq $copy->{sha} ? 'ok' : 'failed', iso(time));
        push @damaged, "$copy->{point} of $copy->{subject} is damaged on $attached->{label}" . ($why ? ": $why" : ': its checksum does not match') if $copy->{verified} ne 'ok';
        put_catalogue($rotation->{name}, $catalogue);
    }
    return @damaged;
}

# For a hand without this program: sha256sum -c.
sub write_manifest {
    my ($rotation, $attached, $catalogue) = @_;
    still_there($rotation, $attached);
    my @here = sort { $a->{point} cmp $b->{point} } grep { $_->{medium} eq $attached->{label} && $_->{verified} eq 'ok' } values %$catalogue;
    my $text = join '', map { "$_->{sha}  $_->{point}\n" } @here;
    write_file(folder($rotation) . '/manifest-' . (iso(time) =~ s/[:-]//gr) . '.sha256', $text, 1);
    write_file(folder($rotation) . '/SHA256SUMS', $text, 1);
}

1;

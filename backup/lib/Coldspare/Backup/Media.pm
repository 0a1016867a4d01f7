package Coldspare::Backup::Media;
# Rotated media: which one is attached and may be written, and the commands of whoever carries it.
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(O_WRONLY O_CREAT O_APPEND);
use IO::Handle ();
use Coldspare::System;
use Coldspare::Backup::Conf;
use Coldspare::Backup::Job qw(job locked iso epoch_of record_of);
use Coldspare::Backup::Process;
use Coldspare::Backup::Media::Attached;
use Coldspare::Backup::Media::Catalogue;
use Coldspare::Backup::Media::Copy;

our @EXPORT = qw(media);

my $USE = <<'END';
coldspare-backup media status [--plain] | init TARGET LABEL [--replace] [--plain] | run TARGET | verify TARGET | eject TARGET
       | record TARGET attached|detached LABEL --by WHO | points TARGET [--plain]
END

my %COMMANDS = (status => \&status, init => \&init, run => \&write_medium, verify => \&verify, eject => \&eject, record => \&record, points => \&points);

sub media {
    my ($command, @arguments) = @_;
    my $sub = $COMMANDS{ $command // '' } or die { use => $USE };
    my %flags = map { /^--(plain|replace)$/ ? ($1 => 1) : () } @arguments;
    return $sub->(conf(), \%flags, grep { !/^--(?:plain|replace)$/ } @arguments);
}

sub use_unless { die { use => $USE } unless $_[0] }

# ---- writing ----------------------------------------------------------------------------------------------------------

sub media_job {
    my ($conf, $rotation, $name, $what, $work) = @_;
    my $target = $rotation->{name};
    my %job = (name => $name, kind => 'media', policy => '', target => $target, notify => $rotation->{notify} // 'failure', what => $what, where => $rotation->{mount},
        server => $conf->{self}, fix => undef);
    return job($conf, \%job, sub {
        my ($lock, $job) = @_;
        my $attached = writable($rotation, $job, time);
        note_attached($rotation, $attached);
        $job->{fix} = undef;
        $job->{where} = "medium $attached->{label} at $rotation->{mount}";
        my $result = eval { $work->($attached, $job) };
        my $error = $@;
        return $result if $result;
        my $now = attached($rotation);
        die $error if $now->{state} eq 'ok' && $now->{id} eq $attached->{id};
        $job->{fix} = "Attach medium $attached->{label} again and look at its cable, its power and dmesg; then run: coldspare-backup media run $target";
        die "medium $attached->{label} is not attached any more: it went away while it was written. What was copied and read again before counts (" . ($error =~ s/\n+\z//r) . ")\n";
    });
}

sub write_medium {
    my ($conf, $flags, $name, @rest) = @_;
    use_unless(defined $name && !@rest);
    my $rotation = rotation_of($conf, $name);
    return media_job($conf, $rotation, $name, 'Copy to the medium', sub { my ($attached) = @_; return copy_new($conf, $rotation, $attached) });
}

sub verify {
    my ($conf, $flags, $name, @rest) = @_;
    use_unless(defined $name && !@rest);
    my $rotation = rotation_of($conf, $name);
    return media_job($conf, $rotation, "$name.verify", 'Verification of the medium', sub {
        my ($attached) = @_;
        my $catalogue = catalogue($name);
        my @damaged = read_again($rotation, $attached, $catalogue, time);
        die join("\n", @damaged) . "\n" if @damaged;
        return { newest => newest_good($catalogue) };
    });
}

# The medium that is attached, if it may be written now. Dies of what has to be done otherwise: refused, as it is no fault of the program.
sub writable {
    my ($rotation, $job, $now) = @_;
    my $attached = attached($rotation);
    my $turn = turn($rotation, $now);
    my $expected = $turn->{expected};
    $job->{fix} = "Attach medium $expected to " . ($job->{server} // 'the server') . " and mount it at $rotation->{mount}; then run: coldspare-backup media run $rotation->{name}";
    my $wanted = "medium $expected is expected" . ($turn->{until} ? ' until ' . iso($turn->{until}) : '');
    die { refused => "no medium is mounted at $rotation->{mount}; $wanted" } if $attached->{state} eq 'none';
    if ($attached->{state} eq 'unlabelled') {
        $job->{fix} .= ". If it is a new one: coldspare-backup media init $rotation->{name} LABEL";
        die { refused => "what is mounted at $rotation->{mount} is no medium of $rotation->{name}, as it has no label; $wanted" };
    }
    die { refused => "what is mounted at $rotation->{mount} is $attached->{what}; $wanted" } if $attached->{state} eq 'foreign';
    die { refused => "the wrong medium is attached: $attached->{label}; $wanted" } unless grep { $_ eq $attached->{label} } @{ $turn->{accepted} };
    return $attached;
}

# ---- commands of whoever carries it -------------------------------------------------------------------------------------

sub init {
    my ($conf, $flags, $name, $label, @rest) = @_;
    use_unless(defined $label && !@rest);
    my $rotation = rotation_of($conf, $name);
    die { use => "$name has no medium '$label'; it has: " . join(', ', sort keys %{ $rotation->{media} }) } unless $rotation->{media}{$label};
    my $lock = locked($name);
    my $attached = attached($rotation);
    die { refused => "nothing is mounted at $rotation->{mount}" } if $attached->{state} eq 'none';
    die { refused => "this medium is labelled already: $attached->{what}" } if $attached->{state} ne 'unlabelled';
    opendir(my $folder, path($rotation->{mount})) or die "cannot read $rotation->{mount}: $!\n";
    my @there = grep { !/^(?:\.\.?|lost\+found|\.coldspare-medium\.new)$/ } readdir $folder;
    die { refused => "the file system at $rotation->{mount} is not empty ($there[0]): nothing was written" } if @there;
    die { refused => "$label is the label of another disk; --replace if that one is lost: its copies are forgotten" } if known_id($rotation, $label) && !$flags->{replace};
    forget_medium($name, $label) if $flags->{replace};
    my $id = label_medium($conf, $rotation, $label);
    append_swap($name, $label, 'attached', 'init');
    print $flags->{plain} ? 'medium=' . encode($label) . " id=$id\nend\n" : "$label is a medium of $name now\n";
    return 0;
}

sub record {
    my ($conf, $flags, $name, $action, $label, $by, $who, @rest) = @_;
    use_unless(($by // '') eq '--by' && defined $who && !@rest && $action =~ /^(?:attached|detached)$/);
    my $rotation = rotation_of($conf, $name);
    die { use => "$name has no medium '$label'; it has: " . join(', ', sort keys %{ $rotation->{media} }) } unless $rotation->{media}{$label};
    append_swap($name, $label, $action, $who);
    return 0;
}

sub note_attached {
    my ($rotation, $attached) = @_;
    my $last = last_swap($rotation->{name});
    append_swap($rotation->{name}, $attached->{label}, 'attached', 'server') unless $last && $last->{action} eq 'attached' && $last->{medium} eq $attached->{label};
}

# Everything is on the disk before it is let go.
sub eject {
    my ($conf, $flags, $name, @rest) = @_;
    use_unless(defined $name && !@rest);
    my $rotation = rotation_of($conf, $name);
    my $lock = locked($name);
    my $attached = attached($rotation);
    die { refused => "nothing is mounted at $rotation->{mount}" } if $attached->{state} eq 'none';
    my $result = capture({ seconds => 600 }, 'sync', '-f', path($rotation->{mount}));
    $result = capture({ seconds => 600 }, 'umount', path($rotation->{mount})) if $result->{code} == 0;
    die "$rotation->{mount} cannot be unmounted: " . ($result->{err} =~ s/\s+\z//r) . ". See who uses it: fuser -vm $rotation->{mount}\n" if $result->{code};
    append_swap($name, $attached->{label}, 'detached', 'eject') if defined $attached->{label};
    print 'Take ' . ($attached->{label} // 'it') . ' away now.' . (next_word($rotation)) . "\n";
    return 0;
}

sub next_word {
    my ($rotation) = @_;
    my $turn = turn($rotation, time);
    return '' unless $turn->{next};
    return " $turn->{expected} belongs here until " . iso($turn->{until}) . ", then $turn->{next}.";
}

# ---- what is known ----------------------------------------------------------------------------------------------------

sub points {
    my ($conf, $flags, $name, @rest) = @_;
    use_unless(defined $name && !@rest);
    rotation_of($conf, $name);
    my @copies = sort { $a->{at} cmp $b->{at} || $a->{point} cmp $b->{point} || $a->{medium} cmp $b->{medium} } values %{ catalogue($name) };
    for my $copy (@copies) {
        if ($flags->{plain}) { print join(' ', map { "$_=" . encode($copy->{$_} // '') } qw(point job subject target at bytes verified verifiedat medium)), "\n" }
        else { printf "%s  %s  %8.2f GiB  on %s  %s\n", $copy->{at}, $copy->{subject}, $copy->{bytes} / 2**30, $copy->{medium}, $copy->{verified} eq 'ok' ? "read again on $copy->{verifiedat}" : 'DAMAGED' }
    }
    print "end\n" if $flags->{plain};
    return 0;
}

sub status {
    my ($conf, $flags, @rest) = @_;
    use_unless(!@rest);
    for my $name (sort keys %{ $conf->{rotations} }) {
        my $line = status_of($conf->{rotations}{$name}, time);
        if ($flags->{plain}) { print join(' ', map { "$_=" . encode($line->{$_} // '') } qw(target attached expected set until next attachedat free size written state listends error)), "\n" }
        else { print "$name: $line->{attached} is attached, $line->{expected} is expected" . ($line->{until} ? " until $line->{until}, then $line->{next}" : '') . ": $line->{state}\n" . ($line->{error} ? "  $line->{error}\n" : '') }
    }
    print "end\n" if $flags->{plain};
    return 0;
}

sub status_of {
    my ($rotation, $now) = @_;
    my $name = $rotation->{name};
    my ($attached, $turn, $last, $record) = (attached($rotation), turn($rotation, $now), last_swap($name), record_of($name));
    my $label = $attached->{label};
    my $state = $attached->{state} ne 'ok' ? ($attached->{state} eq 'foreign' ? 'wrong' : $attached->{state})
        : $label eq $turn->{expected} ? 'ok'
        : $label ne ($turn->{before} // '') ? 'wrong'
        : (grep { $_ eq $label } @{ $turn->{accepted} }) ? 'due' : 'late';
    my ($written) = sort { $b cmp $a } map { $_->{copied} } grep { $_->{medium} eq ($label // '') } values %{ catalogue($name) };
    return {
        target => $name, attached => $attached->{state} eq 'ok' ? $label : $attached->{state} eq 'foreign' ? 'foreign' : '-', expected => $turn->{expected}, set => $turn->{set},
        until => $turn->{until} ? iso($turn->{until}) : '', next => $turn->{next}, attachedat => $last && $last->{action} eq 'attached' && $last->{medium} eq ($label // '') ? $last->{at} : '',
        free => $attached->{free}, size => $attached->{size}, written => $written, state => $state, listends => $turn->{listends} ? iso($turn->{listends}) : '',
        error => ($turn->{warning} // '') || ($record->{state} // '') eq 'failed' && $record->{error} || '',
    };
}

1;

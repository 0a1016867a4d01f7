package Coldspare::Person;
# Commands for a person on the server, and for the operator's commands over SSH.
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(:flock O_RDWR O_CREAT O_APPEND O_DIRECTORY O_RDONLY);
use IO::Handle ();
use Coldspare::System;
use Coldspare::Conf;
use Coldspare::Decisions;
use Coldspare::Voter;
use Coldspare::Peers;
use Coldspare::Guests;
use Coldspare::Reconcile qw(read_voters);

our @EXPORT = qw(allow status take_config journal);

sub refused { my ($text) = @_; print STDERR "coldspare: $text\n"; return 1 }
sub wrong_use { my ($text) = @_; print STDERR "use: coldspare-node $text\n"; return 2 }

# ---- allow ----------------------------------------------------------------------------------------------------------

sub allow {
    my ($which, $option, $because, @more) = @_;
    my $expected = expected(@more);
    return wrong_use('allow GUEST --because "what you saw" [--expect EPOCH BY]')
        unless ($which // '') =~ /^(?:$NAME|\d+)$/ && ($option // '') eq '--because' && $expected;
    return refused('say what you saw: --because "srv2 has no power, I pulled the plug"') unless ($because // '') =~ /\S/;
    my $conf = eval { conf() } // return refused($@);
    my $guest = $which =~ /^\d+$/ ? guest_of($conf, $which) : $conf->{guests}{$which};
    return refused("$which is not in node.conf: nothing holds its start back") unless $guest;
    my $servers = join ' or ', map { $_->{server} } @{ $guest->{ids} };
    return refused("$conf->{self} has no vote on $guest->{name}: it can run on $servers") unless is_voter($conf->{self}, @{ $guest->{voters} });
    return refused("$conf->{self} runs no guests: give the permission on the server that is to run it") unless $conf->{hypervisor};
    my $name = $guest->{name};
    my $by = 'allow@' . $conf->{self} . '-' . (time_of_day() =~ s/[^0-9TZ]//gr) . "-$$";
    my $answers = read_voters($conf, $guest)->{$name};
    my $epoch = 0;
    my $other = overtaken($expected, $answers->{ $conf->{self} } // {});
    return refused($other) if $other;
    for my $voter (sort keys %$answers) {
        my $record = $answers->{$voter};
        $epoch = $record->{epoch} if $record->{epoch} > $epoch;
        next unless $voter ne $conf->{self} && $record->{server} eq $voter;
        # Who answers is not off: it has to say that nothing of the guest runs there.
        my ($ask) = ask_all($conf, $ANSWER_SECONDS, { $voter => ['release', $by, $conf->{self}, "$name=$record->{epoch}"] });
        my $answer = $ask->{answers} && $ask->{answers}{$name} || {};
        my $verdict = $answer->{verdict};
        return refused("$voter answered a moment ago, so it is not off, and then no more (" . ($ask->{silence} // 'no answer') . '). Look at it, then run this again') unless $verdict;
        next if $verdict eq 'ok';
        return refused("$voter answers, so it is not off, and says: " . ($answer->{reason} // 'no reason given') . ". Stop it there first, then run this again");
    }
    return permit_start($conf, $guest, $epoch + 1, $by, $because, $expected);
}

# A command gives its permission only on top of its own claim: who was given the guest since, or claimed it, must not lose it.
sub expected {
    my ($option, $epoch, $by, @more) = @_;
    return {} unless defined $option;
    return $option eq '--expect' && !@more && ($epoch // '') =~ /^\d{1,15}$/ && ($by // '') =~ /^[!-~]{1,200}$/ ? { epoch => $epoch, by => encode(decode($by)) } : undef;
}

sub overtaken {
    my ($expected, $own) = @_;
    return '' if !%$expected || defined $own->{epoch} && $own->{epoch} == $expected->{epoch} && $own->{by} eq $expected->{by};
    my $now = defined $own->{epoch} ? record_words($own) : 'no vote' . ($own->{reason} ? ": $own->{reason}" : '');
    return "the record here is not the expected one any more, but $now. Nothing was allowed; see coldspare status, then run the operator's command again";
}

sub permit_start {
    my ($conf, $guest, $epoch, $by, $because, $expected) = @_;
    my $name = $guest->{name};
    my $overtaken = '';
    my $own = eval {
        locked($name, sub {
            $overtaken = overtaken($expected, vote_locked($conf, $guest, { op => 'read' }));
            return $overtaken ? { verdict => 'refused' } : vote_locked($conf, $guest, { op => 'claim', epoch => $epoch, server => $conf->{self}, by => $by });
        });
    } // { verdict => 'refused', reason => $@ =~ s/\n+$//r };
    return refused($overtaken) if $overtaken;
    my $why = $own->{reason} // "it is at epoch $own->{epoch} by now; run the command again";
    return refused("the own record cannot be written: $why") unless $own->{verdict} eq 'ok';
    my @others = grep { $_ ne $conf->{self} } @{ $guest->{voters} };
    my $claim = ['claim', $by, "$name=$epoch\@$conf->{self}"];
    my %told;
    for my $ask (ask_all($conf, $ANSWER_SECONDS, { map { $_ => $claim } @others })) {
        my $answer = ($ask->{answers} // {})->{$name} // {};
        $told{ $ask->{peer} } = $answer->{verdict} // 'no answer';
    }
    my $who = $ENV{SUDO_USER} // getpwuid($<) // $<;
    my $line = time_of_day() . " $who allowed $name on $conf->{self} (epoch $epoch): " . ($because =~ s/[^\x20-\x7e\x80-\xff]/ /gr);
    my $done = eval {
        write_file(permit_file($name), 'boot=' . boot_id() . ' at=' . uptime() . " epoch=$epoch by=$by\n", 1);
        append_lines(path('/var/lib/coldspare/allowed'), $line);
        1;
    };
    return refused($@) unless $done;
    note('warning', $line);
    print "$name may be started on $conf->{self} within 10 minutes, once.\n";
    for my $voter (@others) {
        my $knows = $told{$voter} eq 'ok';
        print "  $voter: " . ($knows ? "knows that only $conf->{self} may run it\n" : "could not be told ($told{$voter}); it may still let another server start it\n");
    }
    if (2 * (1 + grep { $told{$_} eq 'ok' } @others) <= @{ $guest->{voters} }) {
        print "No majority knows it yet; the agent here goes on telling the others. Keep every other server of $name off until\n",
            "`coldspare-node status` on $conf->{self} says that a majority knows.\n";
    }
    return 0;
}

# ---- status ---------------------------------------------------------------------------------------------------------

sub status {
    my ($option) = @_;
    my $conf = eval { conf() } // return refused($@);
    my $plain = ($option // '') eq '--plain';
    print_header($conf) unless $plain;
    for my $guest (sort { $a->{order} <=> $b->{order} || $a->{name} cmp $b->{name} } values %{ $conf->{guests} }) {
        my $record = is_voter($conf->{self}, @{ $guest->{voters} }) ? vote($conf, $guest, { op => 'read' }) : {};
        my @ids = map { id_status($conf, $guest, $_) } ids_here($conf, $guest);
        if ($plain) { print map { plain_line($guest, $_, $record) . "\n" } @ids }
        else { print_guest($conf, $guest, $record, \@ids) }
    }
    return 0;
}

sub id_status {
    my ($conf, $guest, $vmid) = @_;
    my $config = config($conf, $guest, $vmid);
    my %set = (onboot => 0, lock => '', tags => '', %{ $config // {} });
    return { vmid => $vmid, running => runs($guest, $vmid) ? 1 : 0, config => $config ? 1 : 0, map { $_ => $set{$_} } qw(onboot lock tags) };
}

sub plain_line {
    my ($guest, $id, $record) = @_;
    my %words = (%$record, %$id, guest => $guest->{name}, lock => encode($id->{lock}), tags => encode($id->{tags}));
    return join ' ', map { "$_=" . ($words{$_} // '') } qw(guest vmid running config onboot lock tags epoch server by grants fresh);
}

sub print_header {
    my ($conf) = @_;
    print "$conf->{self}, site " . ($conf->{site} // '?') . ", fencing $conf->{fencing}, agent " . (agent_alive() ? 'runs' : 'does not run') . "\n";
}

sub print_guest {
    my ($conf, $guest, $record, $ids) = @_;
    my $who = defined $record->{epoch} ? record_words($record) : 'no vote here' . ($record->{reason} ? ": $record->{reason}" : '');
    print "$guest->{name}: $who\n";
    print_allowed($conf, $guest, $record) if ($record->{by} // '') =~ /^allow\@/;
    print "  granted to $record->{holder} for $record->{hold} s more\n" if $record->{hold};
    my $lease = read_validity($guest->{name});
    if ($lease && grep { $_->{running} } @$ids) {
        my $left = $lease->{until} - uptime();
        print '  lease here: ' . ($left > 0 ? short($left) . " s left\n" : "over\n");
    }
    for my $id (@$ids) {
        my @words = $id->{running} ? 'runs' : 'off';
        push @words, 'configuration is not here' unless $id->{config};
        push @words, 'starts with the server' if $id->{onboot};
        push @words, "locked ($id->{lock})" if $id->{lock} ne '';
        push @words, "tags $id->{tags}" if $id->{tags} ne '';
        print "  $id->{vmid}: " . join(', ', @words) . "\n";
    }
}

# Whether the other side may be switched on again.
sub print_allowed {
    my ($conf, $guest, $record) = @_;
    my $answers = read_voters($conf, $guest)->{ $guest->{name} };
    my $same = sub { my ($theirs) = @_; $theirs && !$theirs->{fresh} && !grep { $theirs->{$_} ne $record->{$_} } qw(epoch server by) };
    my @know = grep { $same->($answers->{$_}) } @{ $guest->{voters} };
    my $majority = 2 * @know > @{ $guest->{voters} };
    print '  allowed by a person; ' . ($majority ? 'a majority knows' : 'NO majority knows, keep the other servers of it off') . ': ' . (join(', ', @know) || 'nobody') . "\n";
}

# ---- take-config ----------------------------------------------------------------------------------------------------

# Moves a guest's configuration here from a server that is gone. Its volumes have to be here already.
sub take_config {
    my ($vmid, $from) = @_;
    return wrong_use('take-config VMID SERVER') unless ($vmid // '') =~ /^\d{3,9}$/ && ($from // '') =~ /^$NAME$/;
    my $conf = eval { conf() } // return refused($@);
    my $guest = guest_of($conf, $vmid) // return refused("$vmid is not in node.conf of $conf->{self}");
    my $name = $guest->{name};
    my $places = join ', ', map { "$_->{vmid}\@$_->{server}" } @{ $guest->{ids} };
    return refused("$vmid has no place on $conf->{self}: its places are $places") unless grep { $_ == $vmid } ids_here($conf, $guest);
    return refused("$from is this server") if $from eq $conf->{self};
    my $where = eval { locked($name, sub { move_config($conf, $guest, $vmid, $from) }) };
    return refused("$name ($vmid): " . ($@ =~ s/\n+$//r)) unless defined $where;
    print "$where\n";
    return 0;
}

sub move_config {
    my ($conf, $guest, $vmid, $from) = @_;
    my ($there, $here) = (config_path($guest, $vmid, $from), config_path($guest, $vmid, $conf->{self}));
    my $own = vote_locked($conf, $guest, { op => 'read' });
    die "the own record cannot be used: $own->{reason}\n" unless defined $own->{epoch};
    if ($own->{server} ne $conf->{self} || $own->{fresh}) {
        my $who = $own->{server} eq $NOBODY ? 'no server' : $own->{server};
        die "the record says that $who may run it, not $conf->{self}. Run the operator's command again, or see: coldspare-node allow\n";
    }
    my @running = running_ids($conf, $guest);
    die "$running[0] runs here\n" if @running;
    die "a start of it is in progress here\n" if start_in_progress($guest);
    return $here if -e $here && !-e $there;
    die "there are two configurations, $here and $there: one of them has to go, look at both\n" if -e $here;
    die "/etc/pve is not mounted: systemctl status pve-cluster\n" unless -d path('/etc/pve/nodes');
    die "there is no configuration $there\n" unless -e $there;
    rename($there, $here) or die "cannot move $there to $here: $!. /etc/pve can be written only in a cluster with quorum: pvecm status;"
        . " when the other server is certainly off: pvecm expected 1\n";
    note('notice', "$guest->{name} ($vmid): configuration moved from $from to $conf->{self}");
    return $here;
}

# ---- journal --------------------------------------------------------------------------------------------------------

sub journal {
    my ($action, $operation, @more) = @_;
    my $use = 'journal append OPERATION < lines | journal list [OPERATION]';
    return wrong_use($use) if @more || defined $operation && $operation !~ /^[A-Za-z0-9][A-Za-z0-9._-]{0,150}$/;
    my $folder = path('/var/lib/coldspare/journal');
    if (($action // '') eq 'append' && defined $operation) {
        local $/;
        my $text = <STDIN> // '';
        my @lines = grep { /\S/ } split /\n/, $text;
        my @odd = grep { !/^\{.*\}$/ || length > 65536 } @lines;
        return refused('a line of a journal is a JSON object of at most 64 KiB') if @odd;
        return 0 if eval { make_folder($folder); append_lines("$folder/$operation.jsonl", @lines); 1 };
        return refused($@);
    }
    return wrong_use($use) unless ($action // '') eq 'list';
    my @files = defined $operation ? "$folder/$operation.jsonl" : journal_files($folder);
    for my $file (@files) {
        my $text = slurp($file) // next;
        # A last line without an end was torn by a power cut.
        $text =~ s/[^\n]+\z//;
        print $text;
    }
    return 0;
}

# Oldest first, the newest 200.
sub journal_files {
    my ($folder) = @_;
    opendir(my $handle, $folder) or return ();
    my @files = map { "$folder/$_" } grep { /\.jsonl$/ } readdir $handle;
    my %age = map { $_ => (stat $_)[9] // 0 } @files;
    @files = sort { $age{$a} <=> $age{$b} || $a cmp $b } @files;
    return @files > 200 ? @files[-200 .. -1] : @files;
}

# Appends what is not there yet: who was interrupted sends everything again.
sub append_lines {
    my ($file, @lines) = @_;
    sysopen(my $handle, $file, O_RDWR | O_CREAT | O_APPEND, 0600) or die "cannot open $file: $!\n";
    flock($handle, LOCK_EX) or die "cannot lock $file: $!\n";
    seek($handle, 0, 0);
    my $text = do { local $/; <$handle> } // '';
    my %there = map { $_ => 1 } split /\n/, $text;
    my $new = join '', map { "$_\n" } grep { !$there{$_}++ } @lines;
    # After a line that a power cut tore, the next one begins on its own.
    $new = "\n$new" if $text ne '' && $text !~ /\n\z/;
    my $done = $new eq '' || (syswrite($handle, $new) // -1) == length $new;
    die "cannot write $file: $!\n" unless $done && $handle->sync && close $handle;
    my ($folder) = $file =~ m{^(.*)/};
    sysopen(my $directory, $folder, O_RDONLY | O_DIRECTORY) or die "cannot open $folder: $!\n";
    $directory->sync or die "cannot write $folder: $!\n";
}

1;

package Coldspare::Agent;
# The agent of a hypervisor. With leases: renews them, stops at once what lost its lease, and keeps the watchdog quiet only as
# long as every guest is within its lease. With every kind of fencing: a round of reconcile each minute.
#
# Nothing here waits for a peer, a disk of a peer or a tool: they run in children, and the loop comes round every second. If the
# loop itself hangs, the watchdog resets the server.
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(:flock F_SETFD O_WRONLY O_CREAT);
use POSIX qw(WNOHANG);
use Socket qw(AF_UNIX SOCK_STREAM MSG_DONTWAIT sockaddr_un);
use Coldspare::System;
use Coldspare::Conf;
use Coldspare::Decisions;
use Coldspare::Voter;
use Coldspare::Peers;
use Coldspare::Guests;
use Coldspare::Reconcile;

our @EXPORT = qw(agent);

my $TICK = 0.5;
my $RECONCILE_SECONDS = 60;

sub agent {
    my ($option) = @_;
    return eval { conf(); 0 } // do { print STDERR "coldspare: $@"; 1 } if ($option // '') eq '--check';
    my $self = { conf => undef, leases => {}, asks => {}, children => {}, next_renewal => 0, next_reconcile => 0, keeper => 0, signal => '' };
    make_folder(path('/run/coldspare'));
    sysopen(my $lock, path('/run/coldspare/agent.lock'), O_WRONLY | O_CREAT, 0600) or die "cannot open agent.lock: $!\n";
    if (!take_agent_lock($lock)) { print STDERR "coldspare: an agent runs already\n"; return 1 }
    $self->{lock} = $lock;
    if (!refresh_conf($self)) { print STDERR "coldspare: $self->{conf_error}\n"; return 1 }
    $SIG{PIPE} = 'IGNORE';
    $SIG{$_} = do { my $name = $_; sub { $self->{signal} = $name } } for qw(TERM INT HUP);
    adopt_watchdog($self);
    introduce($self);
    note('notice', "agent of $self->{conf}{self} runs, fencing $self->{conf}{fencing}");
    while (1) {
        turn($self);
        my $end = heed_signal($self);
        return $end if defined $end;
    }
}

# The keeper that an ended agent left behind needs a moment to see its successor.
sub take_agent_lock {
    my ($lock) = @_;
    for (1 .. 30) {
        return 1 if flock($lock, LOCK_EX | LOCK_NB);
        select(undef, undef, undef, 0.1);
    }
    return 0;
}

# With it the hook knows that somebody will renew what it lets start. Said again and again: a hung agent is none.
sub introduce {
    my ($self) = @_;
    return if uptime() < ($self->{next_word} // 0);
    $self->{next_word} = uptime() + 5;
    write_mark('agent', 'main', pid => $$, born => born($$), at => uptime());
}

sub turn {
    my ($self) = @_;
    wait_for_answers($self);
    reap($self);
    refresh_conf($self);
    my $lease = $self->{conf}{fencing} eq 'lease' && $self->{conf}{hypervisor};
    my $guests = $lease ? survey($self) : [];
    begin_renewals($self, $guests) if !$self->{keeper};
    my $safe = 1;
    for my $guest (@$guests) { $safe = 0 unless within_lease($self, $guest) }
    watchdog($self, scalar @$guests, $safe);
    return if $self->{keeper};
    start_again($self);
    introduce($self);
    begin_reconcile($self);
}

# Guests that lost their leases: the boot unit tries them until they run, or may not run here any more.
sub start_again {
    my ($self) = @_;
    return if uptime() < ($self->{next_again} // 0) || !grep { read_mark('again', $_) } keys %{ $self->{conf}{guests} };
    $self->{next_again} = uptime() + 5 * $self->{conf}{renew};
    child($self, 'start again', 10, sub { (run(8, 'systemctl', 'start', 'coldspare-boot.service'))[0] });
}

# Reads node.conf again when it changed; a broken one leaves the old in force.
sub refresh_conf {
    my ($self) = @_;
    my @stat = stat conf_file();
    my $mark = @stat ? "$stat[1] $stat[9] $stat[7]" : 'missing';
    return 1 if defined $self->{conf_mark} && $self->{conf_mark} eq $mark;
    $self->{conf_mark} = $mark;
    my $conf = eval { conf() };
    if ($conf) { $self->{conf} = $conf; return 1 }
    $self->{conf_error} = $@ =~ s/\n+$//r;
    note('error', "the agent goes on with the configuration it has: $self->{conf_error}") if $self->{conf};
    return 0;
}

# ---- which guests need a lease --------------------------------------------------------------------------------------

# Guests that run or start here. Not counted: processes that do not run the guest (a backup of a stopped one, an incoming
# migration), as long as a look at them has shown just that.
sub survey {
    my ($self) = @_;
    my ($conf, $now, @found) = ($self->{conf}, uptime());
    for my $guest (map { $conf->{guests}{$_} } sort keys %{ $conf->{guests} }) {
        my @ids = grep { ($self->{idle}{$_} // 0) < $now } running_ids($conf, $guest);
        my $start = start_in_progress($guest);
        # The start is over as soon as its guest is seen running.
        if ($start && grep { $_ == $start->{vmid} } @ids) { remove_mark('starting', $guest->{name}); $start = undef }
        if (@ids || $start) { push @found, { guest => $guest, ids => \@ids, start => $start } }
        else { forget($self, $guest->{name}) }
    }
    return \@found;
}

# Nothing of it runs here any more: what it had must not count for a guest that is migrated here later.
sub forget {
    my ($self, $name) = @_;
    return unless delete $self->{leases}{$name};
    eval { locked($name, sub { remove_mark('validity', $name) unless start_in_progress({ name => $name }) }) };
}

sub lease_of {
    my ($self, $name) = @_;
    my $known = read_validity($name);
    my $lease = $self->{leases}{$name};
    if (!$lease) {
        # Seen for the first time without any grant (it ran before there was an agent, or was migrated here): one term to get one.
        $known //= { until => uptime() + $self->{conf}{term}, held => {} };
        $lease = $self->{leases}{$name} = { %$known, epochs => {}, denied => {} };
        write_validity($name, $lease);
        @$self{qw(next_renewal next_reconcile)} = (0, 0);
    }
    if ($known && $known->{until} > $lease->{until}) { $lease->{until} = $known->{until} }
    return $lease;
}

# ---- renewal --------------------------------------------------------------------------------------------------------

sub begin_renewals {
    my ($self, $guests) = @_;
    lease_of($self, $_->{guest}{name}) for @$guests;
    return if uptime() < $self->{next_renewal} || !@$guests;
    my $conf = $self->{conf};
    $self->{next_renewal} = uptime() + $conf->{renew};
    my %requests;
    for my $guest (map { $_->{guest} } @$guests) {
        my ($name, $lease) = ($guest->{name}, $self->{leases}{ $guest->{name} });
        my $own = vote($conf, $guest, { op => 'read' });
        $lease->{own_epoch} = $own->{epoch} if ($own->{server} // '') eq $conf->{self};
        $lease->{own_epoch} //= 0;
        if (is_voter($conf->{self}, @{ $guest->{voters} })) {
            my %renewal = (op => 'grant', kind => 'renew', server => $conf->{self}, epoch => $lease->{own_epoch});
            hear($self, $guest, $conf->{self}, vote($conf, $guest, \%renewal));
        }
        for my $peer (grep { $_ ne $conf->{self} } @{ $guest->{voters} }) {
            push @{ $requests{$peer} }, "$name=" . ($lease->{epochs}{$peer} // $lease->{own_epoch});
        }
    }
    for my $peer (sort keys %requests) {
        next if $self->{asks}{$peer};    # the last request still waits; it ends by itself
        $self->{asks}{$peer} = ask_begin($conf, $peer, $ANSWER_SECONDS, 'grant', $conf->{self}, 'renew', @{ $requests{$peer} });
    }
}

sub wait_for_answers {
    my ($self) = @_;
    my $end = uptime() + $TICK;
    while ((my $left = $end - uptime()) > 0 && !$self->{signal}) {
        my @asks = values %{ $self->{asks} };
        ask_poll(\@asks, $left < $TICK ? $left : $TICK);
        for my $ask (grep { $_->{done} } @asks) {
            delete $self->{asks}{ $ask->{peer} };
            for my $name (keys %{ $ask->{answers} // {} }) {
                my $guest = $self->{conf}{guests}{$name} // next;
                hear($self, $guest, $ask->{peer}, { %{ $ask->{answers}{$name} }, sent => $ask->{sent} });
            }
        }
    }
}

sub hear {
    my ($self, $guest, $voter, $answer) = @_;
    my ($name, $conf) = ($guest->{name}, $self->{conf});
    my $lease = $self->{leases}{$name} // return;
    delete $lease->{denied}{$voter};
    if ($answer->{verdict} eq 'ok') {
        $lease->{epochs}{$voter} = $answer->{epoch};
        my %known = (voters => $guest->{voters}, term => $conf->{term}, until => $lease->{until}, held => $lease->{held});
        my $renewed = renew({ %known, now => uptime(), answers => { $voter => $answer } });
        @$lease{qw(until held)} = @$renewed{qw(until held)};
        write_validity($name, $lease);
    }
    elsif (defined $answer->{epoch} && $answer->{server} eq $conf->{self}) { $lease->{epochs}{$voter} = $answer->{epoch} }
    elsif (defined $answer->{epoch}) { $lease->{denied}{$voter} = 1 }
}

# ---- expiry ---------------------------------------------------------------------------------------------------------

# A person's permission stands in for voters that are silent, not for voters that say no.
sub permitted {
    my ($self, $found, $lease) = @_;
    my @voters = @{ $found->{guest}{voters} };
    return 0 if keys %{ $lease->{denied} } > @voters / 2;
    return scalar grep { read_mark('permitted', $_) } @{ $found->{ids} }, $found->{start} ? $found->{start}{vmid} : ();
}

# Whether voters stand behind the validity, and not only the first term of a guest that was never granted.
sub granted {
    my ($guest, $lease) = @_;
    return scalar(grep { ($lease->{held}{$_} // 0) > uptime() } @{ $guest->{voters} }) > @{ $guest->{voters} } / 2;
}

sub within_lease {
    my ($self, $found) = @_;
    my $name = $found->{guest}{name};
    my $lease = lease_of($self, $name);
    if (uptime() < $lease->{until}) {
        delete $lease->{over};
        if (granted($found->{guest}, $lease)) { remove_mark('permitted', $_) for @{ $found->{ids} } }
        return 1;
    }
    return 1 if permitted($self, $found, $lease);
    if (!$lease->{over}++) {
        note('crit', "the lease of $name has run out: it is stopped on $self->{conf}{self}");
        # It was to run, and shall again when a majority grants it; the unit that starts guests after a boot sees to it.
        write_mark('again', $name, at => uptime()) if @{ $found->{ids} };
    }
    if (my $start = $found->{start}) {
        kill 'KILL', $start->{pid} if $start->{pid} > 1 && start_in_progress($found->{guest});
        remove_mark('starting', $name);
    }
    for my $vmid (@{ $found->{ids} }) { stop($self, $found->{guest}, $vmid) }
    return 0;
}

# Each guest is stopped by a child of its own, so that none waits for another's hanging tool.
sub stop {
    my ($self, $guest, $vmid) = @_;
    return if grep { $_->{what} eq "stop $vmid" } values %{ $self->{children} };
    my ($conf, $patience) = ($self->{conf}, $self->{conf}{stop});
    child($self, "stop $vmid", $patience + 10, sub {
        return 10 if read_mark('passed', $vmid) && !really_runs($conf, $guest, $vmid);
        my @argv = (tool($guest), 'stop', $vmid, '--skiplock', $guest->{kind} eq 'qemu' ? ('--timeout', $patience) : ());
        my ($code, $text) = run($patience + 1, @argv);
        kill_hard($guest, $vmid) if runs($guest, $vmid);
        note($code ? 'error' : 'notice', "$guest->{name} ($vmid) " . (runs($guest, $vmid) ? 'still runs' : 'is off') . ($code ? ": $text" : ''));
        return 0;
    });
}

sub kill_hard {
    my ($guest, $vmid) = @_;
    my $pid = guest_pid($guest, $vmid);
    if (!defined $pid && $guest->{kind} eq 'lxc') { ($pid) = (run(3, 'lxc-info', '-n', $vmid, '-p', '-H'))[1] =~ /^(\d+)/ }
    return unless defined $pid;
    kill 'KILL', $pid;
    for (1 .. 20) { last unless runs($guest, $vmid); select(undef, undef, undef, 0.1) }
}

# What passed the hook without a grant: an incoming migration runs when its configuration is here, a backup of a stopped guest
# when its processor is let go.
sub really_runs {
    my ($conf, $guest, $vmid) = @_;
    my $config = config($conf, $guest, $vmid) // return 0;
    return 1 if $guest->{kind} eq 'lxc';
    my ($code, $text) = run(3, 'qm', 'status', $vmid, '--verbose');
    my ($state) = $text =~ /^qmpstatus:\s*(\S+)/m;
    return $state !~ /^(?:prelaunch|inmigrate|paused|postmigrate|stopped)$/ if defined $state;
    return ($config->{lock} // '') eq 'backup' ? 0 : 1;
}

# ---- children -------------------------------------------------------------------------------------------------------

sub child {
    my ($self, $what, $seconds, $code) = @_;
    my $pid = fork // return;
    if ($pid == 0) {
        setpgrp(0, 0);
        $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP);
        # Neither the lock nor the watchdog's connection may live longer than the agent.
        close $_ for grep { defined } @$self{qw(lock watchdog)};
        my $result = eval { $code->() };
        note('error', "$what: $@") if $@;
        POSIX::_exit($result // 1);
    }
    $self->{children}{$pid} = { what => $what, end => uptime() + $seconds };
}

sub reap {
    my ($self) = @_;
    for my $pid (keys %{ $self->{children} }) {
        next if waitpid($pid, WNOHANG) == 0;
        my $code = $? >> 8;
        my $child = delete $self->{children}{$pid};
        # 10: the process is there, but the guest does not run in it. Looked at again soon.
        $self->{idle}{$1} = uptime() + 3 if $code == 10 && $child->{what} =~ /^stop (\d+)$/;
    }
    for my $pid (grep { uptime() > $self->{children}{$_}{end} } keys %{ $self->{children} }) { kill 'KILL', -$pid, $pid }
}

sub begin_reconcile {
    my ($self) = @_;
    return if uptime() < $self->{next_reconcile} || grep { $_->{what} eq 'reconcile' } values %{ $self->{children} };
    # Guests that nobody granted yet (migrated here a moment ago) have one term only to get that in order.
    my $hurry = grep { !%{ $_->{held} } || $_->{until} < uptime() + $self->{conf}{term} / 2 } values %{ $self->{leases} };
    $self->{next_reconcile} = uptime() + ($hurry ? $self->{conf}{renew} : $RECONCILE_SECONDS);
    child($self, 'reconcile', $RECONCILE_SECONDS, sub { Coldspare::Reconcile::reconcile_all($self->{conf}); return 0 });
}

# ---- watchdog -------------------------------------------------------------------------------------------------------

# watchdog-mux: to connect is to arm; any byte is a sign of life; 'V' before the end disarms. Without signs of life for a minute,
# or when the connection ends without 'V', it lets the server's watchdog run out. It feeds that watchdog only in a second in
# which no client spoke (watchdog-mux.c: where epoll_wait answers 0): who speaks all the time has the server reset in 10 s.
sub watchdog {
    my ($self, $needed, $safe) = @_;
    if (!$needed) { disarm($self) if $self->{watchdog}; return }
    if (!$self->{watchdog}) {
        socket(my $socket, AF_UNIX, SOCK_STREAM, 0) or return;
        if (!connect($socket, sockaddr_un(path('/run/watchdog-mux.sock')))) {
            note('crit', "no watchdog: $!; a hung agent would not be noticed") unless $self->{watchdog_missing}++;
            return;
        }
        $self->{watchdog} = $socket;
        $self->{watchdog_missing} = 0;
    }
    return if !$safe || uptime() < ($self->{next_sign} // 0);
    $self->{next_sign} = uptime() + sign_seconds($self->{conf});
    $self->{watchdog} = undef unless defined send($self->{watchdog}, '.', MSG_DONTWAIT) || $!{EAGAIN};
}

# Often enough that one late sign does no harm, seldom enough that others' signs leave quiet seconds between.
sub sign_seconds { my ($conf) = @_; return $conf->{watchdog} / 6 < 2 ? 2 : $conf->{watchdog} / 6 }

sub disarm { my ($self) = @_; $self->{next_sign} = 0; send($self->{watchdog}, 'V', MSG_DONTWAIT); close $self->{watchdog}; $self->{watchdog} = undef }

# ---- end, restart ---------------------------------------------------------------------------------------------------

sub heed_signal {
    my ($self) = @_;
    my $signal = $self->{signal};
    $self->{signal} = '';
    if ($self->{keeper}) { return keeper_done($self) ? 0 : undef }
    return undef if $signal eq '';
    return reload($self) if $signal eq 'HUP';
    return end($self);
}

# The new program in the same process: the watchdog's connection stays open.
sub reload {
    my ($self) = @_;
    # A program that does not start would end the watchdog's connection, and with it the server.
    my ($code, $text) = run(5, $0, 'agent', '--check');
    if ($code != 0) { note('error', "the agent goes on as it is, the new program or configuration does not start: $text"); return undef }
    ask_end($_, 'reload') for values %{ $self->{asks} };
    if ($self->{watchdog}) {
        fcntl($self->{watchdog}, F_SETFD, 0);
        $ENV{COLDSPARE_WATCHDOG_FD} = fileno $self->{watchdog};
    }
    { no warnings 'exec'; exec { $0 } $0, 'agent' }
    note('error', "the agent cannot start itself again: $!");
    return 1;
}

sub adopt_watchdog {
    my ($self) = @_;
    my $fd = delete $ENV{COLDSPARE_WATCHDOG_FD} // return;
    return unless $fd =~ /^\d+$/;
    open(my $socket, '+<&=', $fd) or return;
    fcntl($socket, F_SETFD, Fcntl::FD_CLOEXEC());
    $self->{watchdog} = $socket;
}

# Ending gives nothing up: while guests run under leases, a keeper stays that renews nothing and stops them when their leases end,
# unless a new agent has come until then.
sub end {
    my ($self) = @_;
    ask_end($_, 'end') for values %{ $self->{asks} };
    $self->{asks} = {};
    my $guests = $self->{conf}{fencing} eq 'lease' && $self->{conf}{hypervisor} ? survey($self) : [];
    if (!@$guests) {
        disarm($self) if $self->{watchdog};
        return 0;
    }
    $self->{predecessor} = $$;
    my $pid = fork // return undef;
    if ($pid != 0) { POSIX::_exit(0) }
    POSIX::setsid();
    close $self->{lock};
    @$self{qw(keeper children)} = (1, {});
    open(STDERR, '>', '/dev/null');
    note('warning', 'the agent was stopped: guests with spares are stopped when their leases end, unless it is started again');
    return undef;
}

sub keeper_done {
    my ($self) = @_;
    my $agent = read_mark('agent', 'main');
    my $successor = $agent && $agent->{pid} != $self->{predecessor} && agent_alive();
    return 0 unless $successor || !$self->{watchdog} && !@{ survey($self) };
    disarm($self) if $self->{watchdog};
    return 1;
}

1;

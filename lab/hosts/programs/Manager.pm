# Starts, watches and stops the units of a host, as systemd does as far as the lab's hosts need it.
package Manager;
use strict;
use warnings;
use Fcntl qw(F_GETFD F_SETFD FD_CLOEXEC);
use POSIX ();
use Requests;
use Unit;

# name => { unit, state, sub, pid, role, steps, result, since, restart_at, kill_at, stopping, waiting, starts, restarts }
my %units;
my %name_of; # pid => unit name
my %reloads; # pid of an ExecReload => who waits for it
my @queue; # names that wait for what stands before them
my $leaving; # 'poweroff' or 'reboot' once the host goes down
my $leave_at;

sub now { open(my $in, '<', '/proc/uptime') or return time; return (split ' ', <$in>)[0] }

sub unit {
  my ($name) = @_;
  return $units{$name} if $units{$name};
  my $file = Unit::read_unit($name) or return undef;
  return $units{$name} = { name => $name, unit => $file, state => 'inactive', sub => 'dead', result => 'success', waiting => [], starts => [], restarts => 0 };
}

sub reload { for my $name (keys %units) { my $file = Unit::read_unit($name); $units{$name}{unit} = $file if $file } }

sub boot {
  my @first = grep { unit($_) } Unit::enabled_names();
  start($_, undef, 1) for @first;
  turn();
}

# Replaces this process by a command of the host.
sub become {
  my ($log, $argv) = @_;
  open(STDIN, '<', '/dev/null');
  open(STDOUT, '>>', $log) or open(STDOUT, '>', '/dev/null');
  open(STDERR, '>&', \*STDOUT);
  $SIG{$_} = 'DEFAULT' for qw(CHLD PIPE TERM INT);
  { no warnings; exec { $argv->[0] } @$argv }
  syswrite STDERR, "$argv->[0]: $!\n";
  POSIX::_exit(203);
}

sub set_state {
  my ($it, $state, $sub) = @_;
  @$it{qw(state sub since)} = ($state, $sub, now());
}

sub tell_waiting {
  my ($it, $ok, $why) = @_;
  my @waiting = @{ $it->{waiting} };
  $it->{waiting} = [];
  $_->($ok, $why) for @waiting;
}

# $done->(ok, reason) is called once the unit is up, has done its work, or has failed.
sub start {
  my ($name, $done, $together) = @_;
  my $it = unit($name) or do { $done->(0, 'not-found') if $done; return };
  if ($it->{state} eq 'active' || $leaving) { $done->(!$leaving, 'leaving') if $done; return }
  push @{ $it->{waiting} }, $done if $done;
  return if $it->{state} eq 'activating' && !$it->{restart_at} || grep { $_ eq $name } @queue;
  push @queue, $name;
  for my $other (Unit::names($it->{unit}, 'Unit.Requires', 'Unit.Wants', 'Unit.BindsTo')) {
    start($other, undef, 1) if $other ne $name && unit($other);
  }
  turn() unless $together;
}

sub run_queue {
  my $moved = 1;
  while ($moved) {
    $moved = 0;
    for my $name (@queue) {
      my %before = map { $_ => 1 } Unit::names($units{$name}{unit}, 'Unit.After');
      next if grep { $before{$_} && $_ ne $name } @queue;
      next if grep { $units{$_} && $units{$_}{state} eq 'activating' && !$units{$_}{restart_at} } keys %before;
      @queue = grep { $_ ne $name } @queue;
      begin($units{$name});
      $moved = 1;
      last;
    }
  }
}

sub begin {
  my ($it) = @_;
  my $unit = $it->{unit};
  delete @$it{qw(restart_at stopping)};
  if ($it->{name} !~ /\.service$/) { set_state($it, 'active', 'waiting'); return tell_waiting($it, 1) }
  my ($burst, $interval) = ($unit->{'Unit.StartLimitBurst'} // 5, Unit::seconds($unit->{'Unit.StartLimitIntervalSec'} // '10') // 10);
  my $now = now();
  my @recent = grep { $now - $_ < $interval } @{ $it->{starts} };
  $it->{starts} = [@recent, $now];
  if ($interval > 0 && @recent >= $burst) { return failed($it, 'start-limit-hit') }
  my $type = $unit->{'Service.Type'} // 'simple';
  return failed($it, "Type=$type is not known to the lab") unless $type =~ /^(?:simple|exec|idle|notify|oneshot)$/;
  my $environment = Unit::environment($unit);
  my @main = map { { role => $type eq 'oneshot' ? 'step' : 'main', %{ Unit::command($_, $environment) } } } @{ $unit->{'Service.ExecStart'} // [] };
  return failed($it, 'bad-setting') unless @main;
  $it->{environment} = $environment;
  $it->{steps} = [(map { { role => 'step', %{ Unit::command($_, $environment) } } } @{ $unit->{'Service.ExecStartPre'} // [] }), @main];
  set_state($it, 'activating', 'start');
  $it->{result} = 'success';
  next_step($it);
}

sub next_step {
  my ($it) = @_;
  my $step = shift @{ $it->{steps} };
  if (!$step) {
    set_state($it, $it->{unit}{'Service.RemainAfterExit'} && $it->{unit}{'Service.RemainAfterExit'} =~ /^(?:yes|true|1|on)$/ ? ('active', 'exited') : ('inactive', 'dead'));
    return tell_waiting($it, 1);
  }
  run_step($it, $step);
  if ($step->{role} eq 'main' && $it->{pid}) { set_state($it, 'active', 'running'); tell_waiting($it, 1) }
}

sub run_step {
  my ($it, $step) = @_;
  my $pid = fork_step($it, $step->{argv}, $step->{environment} // $it->{environment}) or return failed($it, 'resources');
  @$it{qw(pid role ignore)} = ($pid, $step->{role}, $step->{ignore});
  $name_of{$pid} = $it->{name};
}

sub fork_step {
  my ($it, $argv, $environment) = @_;
  my $unit = $it->{unit};
  my $pid = fork;
  if (defined $pid && $pid == 0) {
    POSIX::setsid();
    %ENV = (%ENV, %$environment);
    # Only the lab's own units may speak to the lab.
    if ($unit->{'Service.LabPipe'} && open(my $lab, '>&=', 3)) { fcntl($lab, F_SETFD, fcntl($lab, F_GETFD, 0) & ~FD_CLOEXEC) }
    chdir($unit->{'Service.WorkingDirectory'} // '/') or POSIX::_exit(200);
    mkdir '/var/log/units';
    become("/var/log/units/$it->{name}.log", $argv);
  }
  return $pid;
}

# A process of the host ended; $status as in $?.
sub ended {
  my ($pid, $status) = @_;
  if (my $done = delete $reloads{$pid}) { return $done->($status == 0, 'the reload failed') }
  my $name = delete $name_of{$pid} or return;
  my $it = $units{$name};
  return unless $it->{pid} && $it->{pid} == $pid;
  # What the unit's process left behind goes with it, unless the unit says otherwise.
  kill 'KILL', -$pid unless ($it->{unit}{'Service.KillMode'} // '') eq 'process';
  delete @$it{qw(pid kill_at)};
  my $bad = $status != 0 && !$it->{ignore};
  if ($it->{stopping}) {
    if (my $again = $it->{stop_main}) { delete $it->{stop_main}; return end_main($it, $again) }
    return stopped($it);
  }
  return next_step($it) if $it->{role} eq 'step' && !$bad;
  return failed($it, $status & 127 ? 'signal' : 'exit-code') if $it->{role} eq 'step';
  $it->{result} = !$bad ? 'success' : $status & 127 ? 'signal' : 'exit-code';
  return if restart_later($it, $bad);
  set_state($it, $bad ? ('failed', 'failed') : ('inactive', 'dead'));
}

sub restart_later {
  my ($it, $bad) = @_;
  my $policy = $it->{unit}{'Service.Restart'} // 'no';
  return 0 if $leaving || !($policy eq 'always' || $policy eq 'on-failure' && $bad || $policy eq 'on-success' && !$bad);
  set_state($it, 'activating', 'auto-restart');
  $it->{restart_at} = now() + (Unit::seconds($it->{unit}{'Service.RestartSec'} // '100ms') // 0.1);
  return 1;
}

sub failed {
  my ($it, $result) = @_;
  $it->{result} = $result;
  $it->{steps} = [];
  return tell_waiting($it, 0, $result) if $result =~ /^(?:exit-code|signal)$/ && restart_later($it, 1);
  set_state($it, 'failed', 'failed');
  tell_waiting($it, 0, $result);
}

sub stop {
  my ($name, $done) = @_;
  my $it = $units{$name} or return $done->(1);
  @queue = grep { $_ ne $name } @queue;
  delete $it->{restart_at};
  $it->{steps} = [];
  if (!$it->{pid}) {
    set_state($it, 'inactive', 'dead') unless $it->{state} eq 'failed';
    tell_waiting($it, 0, 'canceled');
    return $done->(1);
  }
  push @{ $it->{stop_waiting} }, $done;
  return if $it->{stopping};
  $it->{stopping} = 1;
  set_state($it, 'deactivating', 'stop-sigterm');
  my ($first) = @{ $it->{unit}{'Service.ExecStop'} // [] };
  my $main = $it->{pid};
  return end_main($it, $main) unless $first;
  $it->{stop_main} = $main;
  $name_of{$main} = $it->{name};
  my $environment = { %{ $it->{environment} }, MAINPID => $main };
  run_step($it, { role => 'stop', environment => $environment, %{ Unit::command($first, $environment) } });
}

sub end_main {
  my ($it, $pid) = @_;
  return stopped($it) unless kill 0, $pid;
  @$it{qw(pid role)} = ($pid, 'main');
  $name_of{$pid} = $it->{name};
  my $only = ($it->{unit}{'Service.KillMode'} // '') eq 'process';
  kill 'TERM', $only ? $pid : -$pid;
  # A process that was stopped by a signal would not notice the first.
  kill 'CONT', $only ? $pid : -$pid;
  $it->{kill_at} = now() + (Unit::seconds($it->{unit}{'Service.TimeoutStopSec'} // '90') // 90);
}

# Runs the first ExecReload beside the main process, whose number it finds in MAINPID.
sub reload_unit {
  my ($name, $done) = @_;
  my $it = $units{$name};
  my $environment = { %{ $it->{environment} }, MAINPID => $it->{pid} };
  my $command = Unit::command($it->{unit}{'Service.ExecReload'}[0], $environment);
  my $pid = fork_step($it, $command->{argv}, $environment) or return $done->(0, 'resources');
  $reloads{$pid} = $done;
}

sub stopped {
  my ($it) = @_;
  delete $it->{stopping};
  set_state($it, 'inactive', 'dead');
  $it->{result} = 'success';
  tell_waiting($it, 0, 'canceled');
  my @waiting = @{ delete $it->{stop_waiting} // [] };
  $_->(1) for @waiting;
}

# Everything whose time has come.
sub turn {
  my $now = now();
  for my $it (values %units) {
    if ($it->{restart_at} && $it->{restart_at} <= $now && !$leaving) { $it->{restarts}++; begin($it) }
    if ($it->{kill_at} && $it->{kill_at} <= $now) { delete $it->{kill_at}; kill 'KILL', -$it->{pid} if $it->{pid} }
  }
  run_queue() unless $leaving;
}

# Seconds until `turn` has something to do.
sub next_wait {
  my $now = now();
  my $wait = 60;
  for my $due (map { @$_{qw(restart_at kill_at)} } values %units) {
    $wait = $due - $now if defined $due && $due - $now < $wait;
  }
  $wait = $leave_at - $now if $leave_at && $leave_at - $now < $wait;
  return $wait < 0.01 ? 0.01 : $wait;
}

# Stops the units, those last that started first; whatever hangs is not waited for longer than that.
sub shutdown_host {
  my ($how) = @_;
  return if $leaving;
  $leaving = $how;
  $leave_at = now() + 10;
  @queue = ();
  stop($_, sub { }) for grep { $units{$_}{pid} || $units{$_}{restart_at} } keys %units;
}

sub finished {
  return undef unless $leaving;
  return $leaving if now() >= $leave_at;
  return (grep { $_->{pid} } values %units) ? undef : $leaving;
}

# Of the units named, or of all.
sub forget_failures {
  my (@names) = @_;
  for my $it (@names ? grep { $_ } map { $units{$_} } @names : values %units) {
    $it->{starts} = [];
    set_state($it, 'inactive', 'dead') if $it->{state} eq 'failed';
  }
}

sub sshd_failed { my $it = $units{'ssh.service'}; return $it && $it->{state} eq 'failed' }

sub request { Requests::handle(@_) }

1;

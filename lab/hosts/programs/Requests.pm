# What `systemctl` is asked for. Answers: exit code, standard output and standard error, with a zero byte between.
package Requests;
use strict;
use warnings;
use Unit;

my %verbs = (
  'daemon-reload' => \&daemon_reload, 'daemon-reexec' => \&daemon_reload, enable => \&enable, disable => \&disable,
  start => \&start_all, stop => \&stop_all, restart => \&restart_all, reload => \&reload_all, 'reload-or-restart' => \&reload_all,
  'try-restart' => \&restart_all, 'is-active' => \&is_active, 'is-enabled' => \&is_enabled, 'is-failed' => \&is_failed,
  status => \&status, show => \&show, 'list-timers' => \&list_timers, 'list-units' => \&list_units, cat => \&cat_files,
  'reset-failed' => \&reset_failed, 'is-system-running' => \&running, poweroff => \&leave, reboot => \&leave, halt => \&leave,
);

sub handle {
  my ($words, $answer) = @_;
  my ($verb, @units, %flag, @properties);
  while (defined(my $word = shift @$words)) {
    if ($word =~ /^--?(now|quiet|q|no-block|value|all|a|system|no-pager|no-legend|plain|full|l|force|f|no-ask-password)$/) { $flag{$1} = 1 }
    elsif ($word =~ /^(?:-p|--property)$/) { push @properties, split /,/, shift @$words // '' }
    elsif ($word =~ /^(?:-p|--property=)(.+)$/) { push @properties, split /,/, $1 }
    elsif ($word =~ /^-/) { return reply($answer, 1, '', "systemctl: the lab does not know the option $word\n") }
    elsif (!defined $verb) { $verb = $word }
    else { push @units, $word }
  }
  $flag{quiet} ||= $flag{q};
  $verb //= 'list-units';
  my $do = $verbs{$verb} or return reply($answer, 1, '', "Unknown command verb $verb.\n");
  $do->({ verb => $verb, units => [map { Unit::full_name($_) } @units], flag => \%flag, properties => \@properties, answer => $answer });
}

sub reply { my ($answer, $code, $out, $err) = @_; $answer->("$code\0$out\0" . ($err // '')) }

sub daemon_reload { my ($call) = @_; Manager::reload(); reply($call->{answer}, 0, '') }
sub running { my ($call) = @_; reply($call->{answer}, 0, "running\n") }
sub leave { my ($call) = @_; reply($call->{answer}, 0, ''); Manager::shutdown_host($call->{verb} eq 'reboot' ? 'reboot' : 'poweroff') }

# Units that no file exists for end a call before anything is done.
sub missing {
  my ($call) = @_;
  return grep { !Unit::file_of($_) } @{ $call->{units} };
}

sub enable {
  my ($call) = @_;
  if (my @none = missing($call)) { return reply($call->{answer}, 1, '', join '', map { "Failed to enable unit: Unit file $_ does not exist.\n" } @none) }
  my $text = '';
  for my $name (@{ $call->{units} }) {
    my $unit = Unit::read_unit($name);
    my @targets = map { split ' ' } map { @{ $unit->{$_} // [] } } 'Install.WantedBy', 'Install.RequiredBy';
    $text .= "The unit files have no installation config, $name cannot be enabled.\n" unless @targets;
    for my $target (@targets) {
      my $folder = "/etc/systemd/system/$target.wants";
      mkdir $folder;
      next if -l "$folder/$name";
      symlink $unit->{file}, "$folder/$name" or return reply($call->{answer}, 1, '', "Failed to enable unit: $!\n");
      $text .= "Created symlink $folder/$name \x{2192} $unit->{file}.\n";
    }
  }
  utf8::encode($text);
  return reply($call->{answer}, 0, '', $call->{flag}{quiet} ? '' : $text) unless $call->{flag}{now};
  start_all({ %$call, said => $text });
}

sub disable {
  my ($call) = @_;
  my $text = '';
  for my $name (@{ $call->{units} }) {
    for my $link (Unit::links_of($name)) { unlink $link and $text .= "Removed \"$link\".\n" }
  }
  return reply($call->{answer}, 0, '', $text) unless $call->{flag}{now};
  stop_all({ %$call, said => $text });
}

# Calls $one for each unit and answers when all have answered.
sub for_all {
  my ($call, $one) = @_;
  my ($left, $code, $text) = (scalar @{ $call->{units} }, 0, $call->{said} // '');
  return reply($call->{answer}, 1, '', "Too few arguments.\n") unless $left;
  for my $name (@{ $call->{units} }) {
    $one->($name, sub {
      my ($ok, $why) = @_;
      if (!$ok) {
        ($code, my $line) = $why eq 'not-found' ? (5, "Failed to $call->{verb} $name: Unit $name not found.\n")
          : (1, "Job for $name failed: $why.\nSee /var/log/units/$name.log and \"systemctl status $name\".\n");
        $text .= $line;
      }
      reply($call->{answer}, $code, '', $text) if --$left == 0;
    });
  }
}

sub start_all {
  my ($call) = @_;
  if ($call->{flag}{'no-block'}) { Manager::start($_) for @{ $call->{units} }; return reply($call->{answer}, 0, '', $call->{said}) }
  for_all($call, \&Manager::start);
}

sub stop_all {
  my ($call) = @_;
  for_all($call, sub { my ($name, $done) = @_; Unit::file_of($name) || Manager::unit($name) ? Manager::stop($name, $done) : $done->(0, 'not-found') });
}

sub restart_all {
  my ($call) = @_;
  for_all($call, sub {
    my ($name, $done) = @_;
    return $done->(0, 'not-found') unless Manager::unit($name);
    return $done->(1) if $call->{verb} eq 'try-restart' && Manager::unit($name)->{state} ne 'active';
    Manager::stop($name, sub { Manager::start($name, $done) });
  });
}

sub reload_all {
  my ($call) = @_;
  for_all($call, sub {
    my ($name, $done) = @_;
    my $it = Manager::unit($name) or return $done->(0, 'not-found');
    return Manager::reload_unit($name, $done) if $it->{state} eq 'active' && @{ $it->{unit}{'Service.ExecReload'} // [] };
    return $done->(0, 'it cannot be reloaded') if $call->{verb} eq 'reload';
    Manager::stop($name, sub { Manager::start($name, $done) });
  });
}

# One word a unit; code 0 when any has the state that is asked for.
sub states {
  my ($call, $wanted, $else) = @_;
  my ($out, $code) = ('', $else);
  for my $name (@{ $call->{units} }) {
    my $it = Manager::unit($name);
    my $state = $it ? $it->{state} : 'inactive';
    $out .= "$state\n";
    $code = 0 if $state eq $wanted;
  }
  reply($call->{answer}, $code, $call->{flag}{quiet} ? '' : $out);
}

sub is_active { states($_[0], 'active', 3) }
sub is_failed { states($_[0], 'failed', 1) }

sub enabled_state {
  my ($name) = @_;
  my $unit = Unit::read_unit($name) or return undef;
  return 'enabled' if Unit::links_of($name);
  return 'enabled-runtime' if Unit::is_static_runtime($name);
  return $unit->{'Install.WantedBy'} || $unit->{'Install.RequiredBy'} ? 'disabled' : 'static';
}

sub is_enabled {
  my ($call) = @_;
  my ($out, $err, $code) = ('', '', 1);
  for my $name (@{ $call->{units} }) {
    my $state = enabled_state($name);
    if (!defined $state) { $err .= "Failed to get unit file state for $name: No such file or directory\n"; next }
    $out .= "$state\n";
    $code = 0 if $state ne 'disabled';
  }
  reply($call->{answer}, $code, $call->{flag}{quiet} ? '' : $out, $err);
}

sub status {
  my ($call) = @_;
  my ($out, $err, $code) = ('', '', 0);
  for my $name (@{ $call->{units} }) {
    my $it = Manager::unit($name);
    if (!$it) { $err .= "Unit $name could not be found.\n"; $code = 4; next }
    my $unit = $it->{unit};
    my $since = defined $it->{since} ? sprintf ' since %.0f s', Manager::now() - $it->{since} : '';
    $out .= "$name - " . ($unit->{'Unit.Description'} // $name) . "\n     Loaded: loaded ($unit->{file}; " . enabled_state($name) . ")\n"
      . "     Active: $it->{state} ($it->{sub})$since" . ($it->{result} eq 'success' ? '' : " (Result: $it->{result})") . "\n"
      . ($it->{pid} ? "   Main PID: $it->{pid}\n" : '') . log_tail($name);
    $code = 3 if $it->{state} ne 'active' && !$code;
  }
  reply($call->{answer}, $code, $out, $err);
}

sub log_tail {
  my ($name) = @_;
  open(my $in, '<', "/var/log/units/$name.log") or return '';
  my $size = -s $in;
  seek $in, $size - 4096, 0 if $size > 4096;
  my @lines = <$in>;
  splice @lines, 0, @lines - 10 if @lines > 10;
  return join '', "\n", @lines;
}

sub show {
  my ($call) = @_;
  my $out = '';
  for my $name (@{ $call->{units} }) {
    my $it = Manager::unit($name);
    my %property = (
      Id => $name, LoadState => $it ? 'loaded' : 'not-found', ActiveState => $it ? $it->{state} : 'inactive',
      SubState => $it ? $it->{sub} : 'dead', Result => $it ? $it->{result} : 'success', MainPID => $it && $it->{pid} || 0,
      NRestarts => $it ? $it->{restarts} : 0, UnitFileState => $it ? enabled_state($name) : '', Description => $it && $it->{unit}{'Unit.Description'} // $name,
    );
    my @keys = @{ $call->{properties} } ? @{ $call->{properties} } : sort keys %property;
    $out .= $call->{flag}{value} ? ($property{$_} // '') . "\n" : "$_=" . ($property{$_} // '') . "\n" for @keys;
  }
  reply($call->{answer}, 0, $out);
}

# Timers are kept and listed; nothing elapses in the lab, a test starts the service itself.
sub list_timers {
  my ($call) = @_;
  my @rows;
  for my $name (grep { /\.timer$/ } Unit::all_names()) {
    my $unit = Unit::read_unit($name);
    next unless $call->{flag}{all} || (Manager::unit($name) // {})->{state} && Manager::unit($name)->{state} eq 'active';
    my $service = $unit->{'Timer.Unit'} // $name =~ s/\.timer$/.service/r;
    push @rows, sprintf "%-40s %-40s %s\n", $name, $service, join ', ', @{ $unit->{'Timer.OnCalendar'} // [] };
  }
  reply($call->{answer}, 0, join '', $call->{flag}{'no-legend'} ? '' : sprintf("%-40s %-40s %s\n", qw(UNIT ACTIVATES ONCALENDAR)), @rows);
}

sub list_units {
  my ($call) = @_;
  my $out = '';
  for my $name (Unit::all_names()) {
    my $it = Manager::unit($name);
    $out .= sprintf "%-40s loaded %-10s %s\n", $name, $it->{state}, $it->{sub} if $it && ($call->{flag}{all} || $it->{state} ne 'inactive');
  }
  reply($call->{answer}, 0, $out);
}

sub cat_files {
  my ($call) = @_;
  if (my @none = missing($call)) { return reply($call->{answer}, 1, '', join '', map { "No files found for $_.\n" } @none) }
  my $out = '';
  for my $file (map { Unit::file_of($_) } @{ $call->{units} }) {
    open(my $in, '<', $file) or next;
    $out .= join '', "# $file\n", <$in>;
  }
  reply($call->{answer}, 0, $out);
}

sub reset_failed {
  my ($call) = @_;
  Manager::forget_failures(@{ $call->{units} });
  reply($call->{answer}, 0, '');
}

1;

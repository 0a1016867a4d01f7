# What a unit file says. Of systemd.unit(5), systemd.service(5) and systemd.timer(5) only what the lab's hosts need.
package Unit;
use strict;
use warnings;

our @PATH = ('/etc/systemd/system', '/run/systemd/system');

# Names that stand for another unit.
my %alias = ('sshd.service' => 'ssh.service');

sub full_name {
  my ($name) = @_;
  $name .= '.service' unless $name =~ /\.(?:service|timer|target|socket|mount)$/;
  return $alias{$name} // $name;
}

sub file_of {
  my ($name) = @_;
  (my $template = $name) =~ s/\@[^.]*\./\@./;
  for my $folder (@PATH) {
    for my $file ("$folder/$name", "$folder/$template") { return $file if -f $file }
  }
  return undef;
}

# Every unit that a file exists for.
sub all_names {
  my %seen;
  for my $folder (@PATH) {
    opendir(my $dir, $folder) or next;
    $seen{$_} = 1 for grep { /^[^.].*\.(?:service|timer)$/ && -f "$folder/$_" } readdir $dir;
  }
  return sort keys %seen;
}

# Units that a target wants: what `enable` made links for.
sub enabled_names {
  my %seen;
  for my $folder (@PATH) {
    for my $link (glob "$folder/*.target.wants/*") { $seen{$1} = 1 if -e $link && $link =~ m{([^/]+)$} }
  }
  return sort keys %seen;
}

sub links_of {
  my ($name) = @_;
  return grep { -l $_ } glob "/etc/systemd/system/*.target.wants/$name";
}

sub is_static_runtime { my ($name) = @_; return -l "/run/systemd/system/multi-user.target.wants/$name" }

# '5', '1min 30s', '100ms', 'infinity' in seconds; undef when it cannot be read.
my %unit_seconds = (
  us => 1e-6, ms => 1e-3, s => 1, sec => 1, second => 1, seconds => 1, m => 60, min => 60, minute => 60, minutes => 60,
  h => 3600, hr => 3600, hour => 3600, hours => 3600, d => 86400, day => 86400, days => 86400,
);

sub seconds {
  my ($text) = @_;
  return 1e9 if $text eq 'infinity';
  my $sum = 0;
  return undef unless $text =~ /^\s*(?:[\d.]+\s*[a-z]*\s*)+$/;
  while ($text =~ /([\d.]+)\s*([a-z]*)/g) {
    my $factor = $2 eq '' ? 1 : $unit_seconds{$2};
    return undef unless defined $factor;
    $sum += $1 * $factor;
  }
  return $sum;
}

# Words as systemd splits them: quotes group, a backslash takes the next character.
sub words {
  my ($text) = @_;
  my @words;
  while ($text =~ /\G\s*((?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')+)/gc) {
    my $word = '';
    my $raw = $1;
    while ($raw =~ /\G(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|\\(.)|([^"'\\]+))/gc) {
      my $piece = defined $1 ? $1 : defined $2 ? $2 : undef;
      if (defined $piece) { $piece =~ s/\\(.)/$1/g; $word .= $piece }
      else { $word .= defined $3 ? $3 : $4 }
    }
    push @words, $word;
  }
  return @words;
}

my %list = map { $_ => 1 } qw(
  Unit.After Unit.Wants Unit.Requires Unit.BindsTo Service.Environment Service.EnvironmentFile Service.ExecStartPre
  Service.ExecStart Service.ExecStartPost Service.ExecStop Service.ExecReload Install.WantedBy Install.RequiredBy
  Timer.OnCalendar
);

# The unit as a hash of 'Section.Key' to text, or to a list for keys that add up; undef without a file.
sub read_unit {
  my ($name) = @_;
  my $file = file_of($name) or return undef;
  open(my $in, '<', $file) or return undef;
  my %unit = (name => $name, file => $file);
  my ($section, $line) = ('', '');
  while (defined(my $text = <$in>)) {
    chomp $text;
    $line .= $text;
    next if $line =~ s/\\$/ /;
    my $full = $line;
    $line = '';
    $full =~ s/^\s+|\s+$//g;
    next if $full eq '' || $full =~ /^[#;]/;
    if ($full =~ /^\[(\w[\w-]*)\]$/) { $section = $1; next }
    next unless $full =~ /^([\w-]+)\s*=\s*(.*)$/;
    my ($key, $value) = ("$section.$1", expand($2, $name));
    if (!$list{$key}) { $unit{$key} = $value }
    elsif ($value eq '') { $unit{$key} = [] }
    else { push @{ $unit{$key} }, $value }
  }
  return \%unit;
}

sub expand {
  my ($text, $name) = @_;
  my ($instance) = $name =~ /\@([^.]*)\./;
  my ($prefix) = $name =~ /^([^@.]*)/;
  my %specifier = ('%' => '%', n => $name, N => $name =~ s/\.[^.]*$//r, i => $instance // '', p => $prefix, H => hostname());
  $text =~ s/%([%nNipH])/$specifier{$1}/g;
  return $text;
}

sub hostname {
  open(my $in, '<', '/proc/sys/kernel/hostname') or return 'localhost';
  chomp(my $name = <$in>);
  return $name;
}

# Names in keys such as After=, which may stand in one line.
sub names {
  my ($unit, @keys) = @_;
  return map { full_name($_) } map { split ' ' } map { @{ $unit->{$_} // [] } } @keys;
}

# The variables that the unit sets, Environment= before EnvironmentFile= as systemd does.
sub environment {
  my ($unit) = @_;
  my %set;
  for my $line (@{ $unit->{'Service.Environment'} // [] }) {
    for my $word (words($line)) { $set{$1} = $2 if $word =~ /^(\w+)=(.*)$/s }
  }
  for my $entry (@{ $unit->{'Service.EnvironmentFile'} // [] }) {
    my ($file) = $entry =~ /^-?(.*)$/;
    open(my $in, '<', $file) or next;
    while (defined(my $line = <$in>)) { $set{$1} = join ' ', words($2) if $line =~ /^\s*(\w+)=(.*)$/ }
  }
  return \%set;
}

# One Exec line as { ignore, argv }; variables as systemd replaces them: $NAME as a word splits, ${NAME} does not.
sub command {
  my ($line, $environment) = @_;
  my ($flags, $rest) = $line =~ /^([-\@:+!]*)(.*)$/s;
  my @argv;
  for my $word (words($rest)) {
    if ($word =~ /^\$(\w+)$/) { push @argv, words($environment->{$1} // ''); next }
    $word =~ s{\$\{(\w+)\}}{$environment->{$1} // ""}ge;
    $word =~ s/\$\$/\$/g;
    push @argv, $word;
  }
  return { ignore => scalar($flags =~ /-/), argv => \@argv };
}

1;

package LabZfs::Main;
# From words on a command line to an exit code: 0 done, 1 an error, 2 wrong use.
use strict;
use warnings;
use LabZfs::Store;

# The commands: name => [option letters, whether it changes the state (undef: it locks itself), code].
sub run {
    my ($program, $commands, @words) = @_;
    my $verb = shift @words // '';
    my $entry = $commands->{$verb};
    if (!$entry) {
        print STDERR $verb eq '' ? "missing command\n" : "unrecognized command '$verb'\n", "usage: $program command args ...\n";
        return 2;
    }
    my ($letters, $changes, $code) = @$entry;
    my %long = (parseable => 'P', parsable => 'P', verbose => 'v', dryrun => 'n', 'dry-run' => 'n', raw => 'w', replicate => 'R', props => 'p', compressed => 'c',
        'large-block' => 'L', embed => 'e');
    my $result = eval {
        LabZfs::Store::configure();
        require LabZfs::Guests if defined $LabZfs::Store::CONF{lab};
        my ($options, @rest) = options($letters, \%long, @words);
        return $code->($options, @rest) // 0 unless defined $changes;
        return with_state($changes, sub { $code->($options, @rest) }) // 0;
    };
    return $result if defined $result;
    my $error = $@;
    if (!ref $error) { print STDERR "internal error: $error"; return 134 }
    print STDERR "$error->{text}\n";
    print STDERR "usage:\n\t$verb ...\n" if $error->{code} == 2;
    return $error->{code};
}

1;

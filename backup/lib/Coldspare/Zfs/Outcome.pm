package Coldspare::Zfs::Outcome;
# How a command ends: errors carry the exit code that the caller reads (1 failed, 2 wrong use, 3 refused).
use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(outcome refuse wrong_use message_of code_of taken);

package Coldspare::Zfs::Error { sub new { my ($class, $code, $text) = @_; return bless { code => $code, text => $text }, $class } }

sub refuse { die Coldspare::Zfs::Error->new(3, $_[0]) }
sub wrong_use { die Coldspare::Zfs::Error->new(2, $_[0]) }
sub message_of { my ($error) = @_; my $text = ref $error ? $error->{text} : "$error"; $text =~ s/\s+$//; return $text }
sub code_of { my ($error) = @_; return ref $error ? $error->{code} : 1 }

sub outcome {
    my ($code, @arguments) = @_;
    my $result = eval { $code->(@arguments); 0 };
    return 0 if defined $result;
    print STDERR 'coldspare-zfs: ' . message_of($@) . "\n";
    return code_of($@);
}

# Takes '--name' (and its value, where it has one) out of a list of words; wrong use when an option is unknown.
sub taken {
    my ($with_value, @words) = @_;
    my (%options, @rest);
    while (@words) {
        my $word = shift @words;
        if ($word !~ /^--(.+)$/) { push @rest, $word; next }
        exists $with_value->{$1} or wrong_use("there is no option $word");
        $options{$1} = $with_value->{$1} ? shift(@words) // wrong_use("$word needs a value") : 1;
    }
    return (\%options, @rest);
}

1;

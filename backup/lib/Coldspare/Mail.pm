package Coldspare::Mail;
# Tells a person. A message is put into a queue on disk first, so that one that cannot be sent now is sent by a later run; sending never
# takes longer than said and never fails what it tells of.
#
# curl speaks SMTP (Debian, Proxmox VE and Proxmox Backup Server have it), with STARTTLS and the system's authorities.
use strict;
use warnings;
use Exporter 'import';
use MIME::Base64 qw(encode_base64);
use POSIX ();
use Coldspare::System;
use Coldspare::Backup::Process;

our @EXPORT_OK = qw(tell send_queued);

our $SECONDS = 30;
my $KEEP_DAYS = 7;
my $KEEP_MESSAGES = 100;

sub queue { return path('/var/lib/coldspare/mail') }

# A header's value: one line, and encoded words where it is no ASCII (RFC 2047).
sub header {
    my ($text) = @_;
    $text =~ s/[\x00-\x1f\x7f]+/ /g;
    return $text unless $text =~ /[^\x20-\x7e]/;
    return join "\r\n ", map { '=?UTF-8?B?' . encode_base64($_, '') . '?=' } $text =~ /((?:[\x00-\x7f]|[\xc0-\xff][\x80-\xbf]+){1,12}|.)/gs;
}

sub message {
    my ($to, $subject, $text, $now) = @_;
    my ($host) = $to->{from} =~ /\@([^\s>]+)/;
    my $id = POSIX::strftime('%Y%m%d%H%M%S', gmtime $now) . ".$$." . int(rand 1e9);
    my @lines = (
        'Date: ' . POSIX::strftime('%a, %d %b %Y %H:%M:%S +0000', gmtime $now),
        "From: $to->{from}",
        'To: ' . join(', ', @{ $to->{to} }),
        'Subject: ' . header($subject),
        "Message-ID: <$id\@" . ($host // 'coldspare') . '>',
        'MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: 8bit',
        # No machine shall answer, and no holiday notice.
        'Auto-Submitted: auto-generated', '',
        # Longer lines than 998 octets are not allowed.
        map { length ? /(.{1,900})/g : '' } split(/\n/, $text, -1),
    );
    return join "\r\n", @lines, '';
}

# %to: server, port, from, to (a list or a text), tls ('none' or 'starttls').
sub tell {
    my ($to, $subject, $text) = @_;
    my %to = (%$to, to => ref $to->{to} ? $to->{to} : [split /\s*,\s*/, $to->{to}]);
    local $ENV{LC_ALL} = 'C';
    my $now = time;
    my $name = sprintf '%d-%d-%06d', $now, $$, int(rand 1e6);
    eval { write_file(queue() . "/$name", message(\%to, $subject, $text, $now), 1); 1 } or say_and_note('error', "no message to @{ $to{to} }: $@");
    return send_queued(\%to);
}

# Sends what waits, oldest first; a server that does not answer is asked once. Returns how many still wait.
sub send_queued {
    my ($to) = @_;
    my @waiting = sort glob(quotemeta(queue()) . '/*-*[0-9]');
    unlink shift @waiting while @waiting > $KEEP_MESSAGES;
    while (my $file = $waiting[0]) {
        my $text = slurp($file) // '';
        my $result = $text eq '' ? { code => 0 } : deliver($to, $text);
        if ($result->{code} != 0) {
            chomp(my $why = $result->{err} // '');
            note('warning', "a message to @{ $to->{to} } by $to->{server}:$to->{port} waits: $why");
            unlink $file if -M $file > $KEEP_DAYS;
            return scalar @waiting;
        }
        unlink $file;
        shift @waiting;
    }
    return 0;
}

sub deliver {
    my ($to, $text) = @_;
    my $host = $to->{server} =~ /:/ ? "[$to->{server}]" : $to->{server};
    my @tls = $to->{tls} eq 'none' ? () : ('--ssl-reqd');
    my @rcpt = map { ('--mail-rcpt', address($_)) } @{ $to->{to} };
    my @argv = ('curl', '-q', '--silent', '--show-error', '--connect-timeout', 10, '--max-time', $SECONDS, @tls,
        '--url', "smtp://$host:$to->{port}", '--mail-from', address($to->{from}), @rcpt, '--upload-file', '-');
    return eval { capture({ input => $text, seconds => $SECONDS + 5, anyway => 1 }, @argv) } // { code => 1, err => $@ };
}

# 'Name <a@b>' or 'a@b'.
sub address { return $_[0] =~ /<([^>]+)>/ ? $1 : $_[0] }

1;

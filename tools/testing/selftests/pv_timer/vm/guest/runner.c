// SPDX-License-Identifier: GPL-2.0
/*
 * The kselftest runner is a shell script, and for some architectures there is
 * no shell that could be installed. This runs the same programs and prints the
 * same KTAP: all of them, or each that follows a -t.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

#define LIST		KSELFTEST_DIR "/kselftest-list.txt"
#define MAX_PROGRAMS	64

static noreturn void become(const char *collection, const char *program, int out)
{
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	if (!chdir(KSELFTEST_DIR) && !chdir(collection))
		execl(program, program, NULL);
	perror(program);
	_exit(127);
}

static void print_nested(int fd)
{
	FILE *output = fdopen(fd, "r");
	char line[4096];

	while (fgets(line, sizeof(line), output))
		printf("# %s%s", line, strchr(line, '\n') ? "" : "\n");
	fclose(output);
}

/* Return: the exit status, -1 if a signal has ended it */
static int run_program(const char *collection, const char *program)
{
	int p[2], status;
	pid_t pid;

	if (pipe(p))
		return -1;
	pid = fork();
	if (!pid)
		become(collection, program, p[1]);
	close(p[1]);
	print_nested(p[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static void run_and_report(int number, const char *collection, const char *program)
{
	int status;

	printf("# selftests: %s: %s\n", collection, program);
	status = run_program(collection, program);
	printf("%sok %d selftests: %s: %s", status && status != KSFT_SKIP ?
	       "not " : "", number, collection, program);
	if (status == KSFT_SKIP)
		printf(" # SKIP");
	else if (status)
		printf(" # exit=%d", status);
	printf("\n");
}

static bool is_wanted(const char *name, char **options)
{
	bool all = !options[0];

	for (; options[0] && options[1]; options += 2) {
		if (!strcmp(options[1], name))
			return true;
	}
	return all;
}

static int read_list(char names[MAX_PROGRAMS][128], char **options)
{
	FILE *list = fopen(LIST, "r");
	int nr = 0;

	while (list && nr < MAX_PROGRAMS &&
	       fscanf(list, "%127s", names[nr]) == 1)
		nr += is_wanted(names[nr], options);
	if (list)
		fclose(list);
	return nr;
}

int main(int argc, char **argv)
{
	static char names[MAX_PROGRAMS][128];
	int nr = read_list(names, argv + !!argc), i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%d\n", nr);
	for (i = 0; i < nr; i++) {
		char *program = strchr(names[i], ':');

		if (!program)
			return 1;
		*program++ = '\0';
		run_and_report(i + 1, names[i], program);
	}
	return 0;
}

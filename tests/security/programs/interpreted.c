/* interpreted: a program whose loader is said to be /proc/self/exe: the file of whoever executes it. */
int main(void)
{
	return 0;
}
